//! The last lines of the guest's console: what a guest that dies by itself has said about it. Comes
//! in: lines as they end; goes out: a dump for one that is shown, and whose first line is the report's
//! detail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept.
const LINES: usize = 8;
/// How the guest's own kernel begins its last words; whatever it prints then belongs to them.
const PANIC: &str = "kernel panic:";

/// Shared between the console, which a vCPU's thread writes, and whoever asks after the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// One more line, made safe to print.
    pub(super) fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// How the guest ended: the panic, if it printed one, in the first line; then the last lines.
    pub(super) fn after(&self, how: &str) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dump = how.to_owned();
        if let Some(at) = lines.iter().position(|line| line.starts_with(PANIC)) {
            let words: Vec<&str> = lines.range(at..).map(String::as_str).collect();
            dump.push_str(&format!(": {}", words.join(" ")));
        }
        lines
            .iter()
            .for_each(|line| dump.push_str(&format!("\n  console: {line}")));
        dump
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panic_comes_first_and_the_last_lines_below() {
        let tail = Tail::default();
        (0..LINES).for_each(|n| tail.push(format!("line {n}")));
        tail.push("kernel panic: panicked at a.rs:1:2:".to_owned());
        tail.push("no luck".to_owned());
        let dump = tail.after("the guest shut down, reason 3");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(
            lines[0],
            "the guest shut down, reason 3: kernel panic: panicked at a.rs:1:2: no luck"
        );
        assert_eq!(lines.len(), 1 + LINES, "{dump}");
        assert_eq!(lines[1], "  console: line 2");
        assert_eq!(lines[LINES], "  console: no luck");
    }

    #[test]
    fn a_guest_that_said_nothing_has_no_last_lines() {
        assert_eq!(Tail::default().after("it is gone"), "it is gone");
    }
}
