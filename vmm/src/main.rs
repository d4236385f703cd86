//! The `xenlet` command: arguments → config → run → report → exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;
use xenlet::exit::Exit;

fn main() -> ExitCode {
    let args = match cli::Cli::try_parse() {
        Ok(args) => args,
        Err(e) => return not_run(&e),
    };
    match cli::run(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            cli::say(&format!("xenlet: {:#}", failure.error));
            failure.exit.into()
        }
    }
}

/// Help and version go to stdout and are a success; everything else is bad usage, in one line.
fn not_run(e: &clap::Error) -> ExitCode {
    if e.use_stderr() {
        cli::say(&format!("xenlet: {}", one_line(&e.render().to_string())));
        return Exit::Usage.into();
    }
    // Nobody may be reading any more; that changes nothing.
    let _ = e.print();
    Exit::Done.into()
}

/// What is wrong, and the tip if there is one; the usage that follows is `--help`'s.
fn one_line(error: &str) -> String {
    let text = error.strip_prefix("error: ").unwrap_or(error);
    let paragraphs = text.split("\n\n").enumerate();
    let told = paragraphs.filter(|(i, p)| *i == 0 || p.trim_start().starts_with("tip:"));
    let words: Vec<&str> = told.flat_map(|(_, p)| p.split_whitespace()).collect();
    format!("{} (try --help)", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(words: &[&str]) -> String {
        let words = [&["xenlet"], words].concat();
        let e = cli::Cli::try_parse_from(words).expect_err("bad usage");
        one_line(&e.render().to_string())
    }

    #[test]
    fn bad_usage_is_one_line() {
        assert_eq!(
            usage(&["lab", "--ptes", "0"]),
            "invalid value '0' for '--ptes <N>': 0 is not in 1..=8192 (try --help)"
        );
        assert_eq!(
            usage(&["boot"]),
            "the following required arguments were not provided: --kernel <F> (try --help)"
        );
        assert_eq!(
            usage(&["compar"]),
            "unrecognized subcommand 'compar' tip: a similar subcommand exists: 'compare' \
             (try --help)"
        );
    }
}
