//! `vmap_pages_pte_range`: 6.1 and 6.12 have no section here, so every page is a hypercall.

use super::WorkloadInfo;
use crate::config::Release;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "vmap",
    models: "vmap_pages_pte_range: B; no section before 7.0",
    run,
};

/// How this release enters around vmalloc's loops.
pub(super) fn enter(w: &Work<'_>) -> Enter {
    if w.release < Release::V7 {
        Enter::Nothing
    } else {
        Enter::WithPtes
    }
}

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    w.each(&r, enter(w), |i| {
        w.set(&r, i, w.kernel(i));
        Ok(())
    })
}
