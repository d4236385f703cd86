//! `vmap_pages_pte_range` finds no page half way and returns an error: the section must be left all
//! the same (fea18c686320).

use super::WorkloadInfo;
use super::vmap::enter;
use crate::mutants;
use crate::region::Place;
use crate::work::{Done, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "vmap_error",
    models: "vmap_pages_pte_range, a page missing half way",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let missing = middle(&entries);
        w.measured(|| {
            let token = w.enter(&r, entries.clone(), enter(w))?;
            (entries.start..missing).for_each(|i| w.set(&r, i, w.kernel(i)));
            if w.os.mutated(mutants::VMAP_ERROR_NO_LEAVE) {
                return Ok(());
            }
            w.leave(token)
        })?;
        w.os.promised();
    }
    Ok(())
}
