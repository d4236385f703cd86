//! `kasan_populate_vmalloc_pte` under `apply_to_pte_range`: shadow is used at once, so each entry
//! is written between pause and resume. Kernels without pause leave it in the queue. The pages are
//! allocated before, as that may sleep (b6ea95a34cbd).

use super::WorkloadInfo;
use crate::machine::Access;
use crate::mmu::lazy::Pauses;
use crate::mutants;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "kasan_populate",
    models: "kasan_populate_vmalloc_pte: pause, B, resume in apply_to_pte_range",
    run,
};

/// What a kernel without pause does to whoever uses shadow memory.
const STALE: &str = "KASAN shadow not mapped when it is used (c519c3c0a113)";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    let inside = w.os.mutated(mutants::KASAN_SLEEPS);
    for entries in w.tables() {
        allocate(w, !inside);
        w.section(&r, entries.clone(), Enter::WithPtes, || {
            allocate(w, inside);
            entries
                .into_iter()
                .try_for_each(|i| one(w, &r, i, w.kernel(i), STALE))
        })?;
    }
    Ok(())
}

/// The shadow's pages, if this is where they are allocated.
fn allocate(w: &Work<'_>, here: bool) {
    if here {
        w.might_sleep("KASAN allocates in a lazy section");
    }
}

/// One shadow page mapped or unmapped, and looked at.
pub(super) fn one(w: &Work<'_>, r: &Region, i: usize, pte: Pte, stale: &'static str) -> Done {
    paused(w, || {
        w.set(r, i, pte);
        Ok(())
    })?;
    let visible = w.os.policy().pauses != Pauses::None;
    if !visible {
        // What instrumented code does next: the entry should be there.
        w.stale(r, i, stale);
    } else if i == 0 {
        let present = pte.is_present();
        w.os.machine.invalidate(r.va(i));
        w.os.use_page(r, i, Access::Read, present);
    }
    Ok(())
}

fn paused(w: &Work<'_>, f: impl FnOnce() -> Done) -> Done {
    if w.os.mutated(mutants::KASAN_NO_PAUSE) {
        f()?;
        w.os.promised();
        return Ok(());
    }
    w.os.lazy_mmu_mode_pause()?;
    if w.os.policy().pauses != Pauses::None {
        w.os.promised();
    }
    f()?;
    w.os.lazy_mmu_mode_resume()?;
    Ok(())
}
