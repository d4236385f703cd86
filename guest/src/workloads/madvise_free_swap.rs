//! `madvise_free_pte_range` on swapped pages: the swap entry is dropped without looking at A and D,
//! by `clear_not_present_full_ptes` (B).

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_free_swap",
    models: "madvise_free_pte_range, swap entries: B",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.swap(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| w.set(&r, i, Pte::EMPTY))
}
