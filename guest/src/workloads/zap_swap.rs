//! `zap_pte_range` on swap entries: they are cleared without looking at A and D (B).

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "zap_swap",
    models: "zap_pte_range, swap entries: B",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.swap(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| w.set(&r, i, Pte::EMPTY))
}
