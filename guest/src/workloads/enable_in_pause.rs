//! While the section is paused, something opens one of its own around 8 entries, as KASAN with
//! DEBUG_PAGEALLOC does.

use super::WorkloadInfo;
use crate::mmu::lazy::Pauses;
use crate::region::Place;
use crate::work::{Done, Enter, Stop, Work, middle};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "enable_in_pause",
    models: "a section opened and closed while paused",
    run,
};

const INNER: usize = 8;

fn run(w: &Work<'_>) -> Done {
    if w.os.policy().pauses == Pauses::None {
        return Err(Stop::Skip("this release has no pause"));
    }
    let r = w.region(Place::User, &|i| w.user(i))?;
    let set = |i| w.set(&r, i, w.user_ro(i));
    for entries in w.tables() {
        let (from, end) = (middle(&entries), entries.end);
        let to = end.min(from + INNER);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..from).for_each(set);
            w.os.lazy_mmu_mode_pause()?;
            w.os.promised();
            let inner = w.os.lazy_mmu_mode_enable()?;
            (from..to).for_each(set);
            w.os.lazy_mmu_mode_disable(inner)?;
            w.os.promised();
            w.os.lazy_mmu_mode_resume()?;
            (to..end).for_each(set);
            Ok(())
        })?;
    }
    Ok(())
}
