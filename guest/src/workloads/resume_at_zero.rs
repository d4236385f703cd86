//! One resume too many, then a section: the u8 count wraps to 255 and nothing is queued.

use super::WorkloadInfo;
use crate::mmu::lazy::Pauses;
use crate::region::Place;
use crate::work::{Done, Enter, Stop, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "resume_at_zero",
    models: "resume without a pause, then a section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    if w.os.policy().pauses != Pauses::Counted {
        return Err(Stop::Skip("this release counts no pauses"));
    }
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.os.lazy_mmu_mode_resume()?;
    w.each_locked(&r, Enter::Plain, |i| w.set(&r, i, w.user_ro(i)))?;
    w.os.lazy_mmu_mode_pause()?;
    Ok(())
}
