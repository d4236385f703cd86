//! A process forks, and the child's first section is an ordinary one: under 7.2 its pause count has
//! just wrapped to 255.

use super::WorkloadInfo;
use crate::kernel::Os;
use crate::region::Place;
use crate::work::{Done, Enter, Stop, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "fork_then_section",
    models: "a new task runs one section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    w.region(Place::User, &|i| w.user(i))?;
    let child = w.os.fork(3, child, 0).ok_or(Stop::Error("no free task"))?;
    w.os.join(child);
    Ok(())
}

/// The section of `mprotect`, as a task.
pub(super) fn child(os: Os<'_>, _: usize) {
    let w = Work::new(os);
    let done = w
        .built(Place::User)
        .and_then(|r| w.each_locked(&r, Enter::WithPtes, |i| w.commit(&r, i, w.user_ro(i))));
    os.core.verdict.stopped(done);
}
