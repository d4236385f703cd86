//! How a run ends, as the shell sees it.

use std::process::ExitCode;

/// The contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, and right.
    Done = 0,
    /// A check failed: wrong page tables, a count the model does not expect, a regression.
    CheckFailed = 1,
    /// Bad usage, or a bad input file.
    Usage = 2,
    /// This host cannot run it.
    Host = 3,
    /// The guest crashed.
    GuestCrashed = 4,
    /// The time limit passed.
    TimeLimit = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
