//! `zap_pte_range` on present pages: every entry is taken with `xchg` (T), nothing can be queued.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "munmap",
    models: "zap_pte_range, present pages: T",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| w.get_and_clear(&r, i))
}
