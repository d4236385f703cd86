//! `remap_pte_range`: a device's pages mapped in one go.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "remap_pfn",
    models: "remap_pte_range: B",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    w.each_locked(&r, Enter::WithPtes, |i| w.set(&r, i, w.user(i)))
}
