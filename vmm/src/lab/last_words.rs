//! How a guest ended that dies by itself: a dump to show, whose first line is the report's detail.

use crate::lines::Lines;

/// How the guest's own kernel begins its last words; whatever it prints then belongs to them.
const PANIC: &str = "kernel panic:";

/// How it ended, with the panic, if it printed one, in the first line; then its last lines.
pub(super) fn last_words(how: &str, console: &Lines<'_>) -> String {
    let mut dump = how.to_owned();
    let panic: Vec<&str> = console
        .last()
        .skip_while(|line| !line.starts_with(PANIC))
        .collect();
    if !panic.is_empty() {
        dump.push_str(&format!(": {}", panic.join(" ")));
    }
    for line in console.last() {
        dump.push_str(&format!("\n  console: {line}"));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Quiet;
    use std::io::Write;

    fn after(said: &str) -> String {
        let mut quiet = Quiet;
        let mut console = Lines::new(&mut quiet, |_, _| {}, false);
        console.write_all(said.as_bytes()).expect("taken");
        last_words("it is gone", &console)
    }

    #[test]
    fn the_panic_comes_first_and_the_last_lines_below() {
        let dump = after("booting\nkernel panic: panicked at a.rs:1:2:\nno luck\n");
        let lines: Vec<&str> = dump.lines().collect();
        let [how, first, .., last] = lines[..] else {
            panic!("{dump}");
        };
        assert_eq!(
            how,
            "it is gone: kernel panic: panicked at a.rs:1:2: no luck"
        );
        assert_eq!((first, last), ("  console: booting", "  console: no luck"));
    }

    #[test]
    fn a_guest_that_said_nothing_has_no_last_lines() {
        assert_eq!(after(""), "it is gone");
    }
}
