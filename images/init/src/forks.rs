//! So many processes made, run and waited for, one after the other, for who looks at a clock outside:
//! a line before, a line behind.

use std::process::Command;

const PROGRAM: &str = "/bin/busybox";
/// How many if it is not said.
const SOME: u32 = 100;

/// The line before.
pub const BEGIN: &str = "forks begin";
/// What the line behind begins with; the number of those that went well follows.
pub const END: &str = "forks end";

/// `xenlet.init=forks[,N]`.
pub(crate) fn run(args: &[String]) {
    let number = args.first().and_then(|n| n.parse().ok()).unwrap_or(SOME);
    println!("{BEGIN}");
    let good = (0..number).filter(|_| {
        let ended = Command::new(PROGRAM).arg("true").status();
        ended.is_ok_and(|status| status.success())
    });
    let good = good.count();
    println!("{END} {good}");
}
