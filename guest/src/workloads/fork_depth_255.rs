//! As `fork_then_section`, 255 forks below the cell's own task: each level starts one lower, so
//! under 7.2 this is the first that batches again.

use super::WorkloadInfo;
use super::fork_then_section::child;
use crate::kernel::Os;
use crate::machine::TaskId;
use crate::region::Place;
use crate::work::{Done, Stop, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "fork_depth_255",
    models: "the same, 255 forks further down",
    run,
};

const DEPTH: usize = 255;

fn run(w: &Work<'_>) -> Done {
    w.region(Place::User, &|i| w.user(i))?;
    let mut task = fork(w.os, DEPTH)?;
    for _ in 0..DEPTH {
        w.os.join(task);
        task = TaskId(w.os.core.oracle.baton.take());
    }
    Ok(())
}

/// A child that has `left` generations to go, itself included.
fn fork(os: Os<'_>, left: usize) -> Result<TaskId, Stop> {
    let body = if left == 1 { child } else { relay };
    os.fork(3, body, left).ok_or(Stop::Error("no free task"))
}

/// Forks the next generation and exits; the first task of all runs it.
fn relay(os: Os<'_>, left: usize) {
    match fork(os, left - 1) {
        Ok(next) => os.core.oracle.baton.set(next.0),
        Err(stop) => os.core.verdict.stopped(Err(stop)),
    }
}
