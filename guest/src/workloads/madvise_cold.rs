//! `madvise_cold_or_pageout_pte_range`, cold: 6.1 takes the entry and sets it old; later kernels
//! clear A in place. Both kinds of early exit are modelled elsewhere: cond_resched by
//! `madvise_pageout`, the split of a folio by `madvise_resched`.

use super::WorkloadInfo;
use crate::config::Release;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::PteFlags;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_cold",
    models: "madvise_cold_or_pageout_pte_range: T; in 6.1 T and B",
    run,
};

/// One page made old as this release does it.
pub(super) fn age(w: &Work<'_>, r: &Region, i: usize) {
    if w.release == Release::V6_1 {
        w.get_and_clear(r, i);
        w.set(r, i, w.user(i).without(PteFlags::ACCESSED));
    } else {
        w.make_old(r, i);
    }
}

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| age(w, &r, i))?;
    w.all_old(&r);
    Ok(())
}
