//! `apply_to_pte_range` on `init_mm`: a callback sets each entry; there is no lock.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "apply_to_range",
    models: "apply_to_pte_range on init_mm: B, no lock",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    w.each(&r, Enter::WithPtes, |i| {
        w.set(&r, i, w.kernel(i));
        Ok(())
    })
}
