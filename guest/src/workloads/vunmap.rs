//! `vunmap_pte_range`: every entry is taken with `xchg` (T).

use super::WorkloadInfo;
use super::vmap::enter;
use crate::region::Place;
use crate::work::{Done, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "vunmap",
    models: "vunmap_pte_range: T",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|i| w.kernel(i))?;
    w.each(&r, enter(w), |i| {
        w.get_and_clear(&r, i);
        Ok(())
    })
}
