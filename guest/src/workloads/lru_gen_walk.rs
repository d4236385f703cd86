//! `walk_pte_range`: A is tested and cleared in place (T); nothing to batch.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "lru_gen_walk",
    models: "walk_pte_range of the multi-generation LRU: T",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::Plain, |i| w.make_old(&r, i))
}
