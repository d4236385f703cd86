//! `kasan_depopulate_vmalloc_pte`: the shadow page is freed at once, so its entry must be gone.

use super::WorkloadInfo;
use super::kasan_populate::one;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "kasan_depopulate",
    models: "kasan_depopulate_vmalloc_pte: pause, B, resume in apply_to_pte_range",
    run,
};

const STALE: &str = "KASAN shadow still mapped after its page was freed";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|i| w.kernel(i))?;
    w.os.flush_tlb_kernel();
    w.each(&r, Enter::WithPtes, |i| one(w, &r, i, Pte::EMPTY, STALE))
}
