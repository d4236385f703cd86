//! What a check finds, and how that crosses from its process to the battery: as a line of text.

use std::fmt;

/// What a check returns.
pub(super) type Outcome = Result<(), NotOk>;

/// Why a check is not ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotOk {
    /// What was found.
    Failed(String),
    /// What it lacks.
    Skipped(String),
}

impl<E: std::error::Error> From<E> for NotOk {
    fn from(error: E) -> NotOk {
        NotOk::Failed(error.to_string())
    }
}

/// A failure that says what was found.
pub(super) fn failed(what: impl Into<String>) -> NotOk {
    NotOk::Failed(what.into())
}

/// Fails with `what` unless it is so.
pub(super) fn ensure(so: bool, what: impl FnOnce() -> String) -> Outcome {
    if so { Ok(()) } else { Err(failed(what())) }
}

/// A check's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Failed(String),
    Skipped(String),
}

impl Verdict {
    pub(super) fn of(outcome: Outcome) -> Verdict {
        match outcome {
            Ok(()) => Verdict::Ok,
            Err(NotOk::Failed(what)) => Verdict::Failed(what),
            Err(NotOk::Skipped(why)) => Verdict::Skipped(why),
        }
    }

    /// From the line a check's process printed; anything else is a failure too.
    pub(super) fn parse(line: &str) -> Verdict {
        let line = line.trim_end();
        match line.split_once(' ') {
            None if line == "ok" => Verdict::Ok,
            Some(("failed", what)) => Verdict::Failed(what.to_owned()),
            Some(("skipped", why)) => Verdict::Skipped(why.to_owned()),
            _ => Verdict::Failed(format!("it printed {line:?}")),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever an error has to say.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        match self {
            Verdict::Ok => f.write_str("ok"),
            Verdict::Failed(what) => write!(f, "failed {}", flat(what)),
            Verdict::Skipped(why) => write!(f, "skipped {}", flat(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_its_line() {
        let all = [
            Verdict::Ok,
            Verdict::Failed("a b".into()),
            Verdict::Skipped("no python3".into()),
        ];
        for verdict in all {
            assert_eq!(Verdict::parse(&format!("{verdict}\n")), verdict);
        }
        assert_eq!(Verdict::Failed("a\nb".into()).to_string(), "failed a b");
        assert!(matches!(Verdict::parse(""), Verdict::Failed(_)));
    }
}
