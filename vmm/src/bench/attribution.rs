//! What finding call sites costs: a Linux kernel measured with and without, in turns.

use super::measure as of;
use crate::images::{Cache, recipes};
use crate::report::bench::Measure;
use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Pairs of runs.
const SAMPLES: usize = 5;
/// The most that call sites may cost of the whole run's time, the boot included.
const LIMIT: f64 = 1.05;
/// Operations that trap for every page.
const OPERATIONS: &str = "touch,fault_around";

/// A Linux image that was fetched.
pub(super) fn image() -> Option<String> {
    let cache = Cache::of_user().ok()?;
    let linux = recipes().into_iter().filter(|recipe| recipe.initramfs);
    let mut names = linux.map(|recipe| recipe.name);
    names.find(|name| cache.get(name).is_some())
}

/// Seconds from exec to exit, with call sites beside without.
pub(super) fn measure(image: &str) -> io::Result<Measure> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        without.push(run(image, &["--no-sites"])?);
        with.push(run(image, &[])?);
    }
    Ok(of(
        "measuring Linux with call sites",
        "s",
        with,
        Some(without),
        LIMIT,
    ))
}

fn run(image: &str, how: &[&str]) -> io::Result<f64> {
    let start = Instant::now();
    let status = Command::new(std::env::current_exe()?)
        .args(["measure", "--depth", "0", "--operation", OPERATIONS])
        .args(["--format", "csv", "--image", image])
        .args(how)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(start.elapsed().as_secs_f64()),
        false => Err(io::Error::other(format!(
            "measuring {image} ended with {status}"
        ))),
    }
}
