//! `madvise_free_pte_range`: taken (T), set again old and clean (B).

use super::WorkloadInfo;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::PteFlags;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_free",
    models: "madvise_free_pte_range: T and B",
    run,
};

/// One page made old and clean.
pub(super) fn lazyfree(w: &Work<'_>, r: &Region, i: usize) {
    w.get_and_clear(r, i);
    w.set(
        r,
        i,
        w.user(i).without(PteFlags::ACCESSED | PteFlags::DIRTY),
    );
}

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| lazyfree(w, &r, i))
}
