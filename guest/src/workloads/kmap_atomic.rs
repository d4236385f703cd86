//! `kmap_local` in the middle of a section: a page is mapped and read through, then unmapped; both
//! flush.

use super::WorkloadInfo;
use crate::machine::Access;
use crate::mutants;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "kmap_atomic",
    models: "kmap_local: map, arch_flush, read, unmap, arch_flush mid-section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    let fixmap = w.region_of(Place::Fixmap, 1, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.user(i)));
            map(w, &fixmap, w.kernel(0))?;
            w.os.use_page(&fixmap, 0, Access::Read, true);
            map(w, &fixmap, Pte::EMPTY)?;
            (at..entries.end).for_each(|i| w.set(&r, i, w.user(i)));
            Ok(())
        })?;
        w.os.flush_tlb_kernel();
    }
    Ok(())
}

fn map(w: &Work<'_>, fixmap: &Region, pte: Pte) -> Done {
    w.set(fixmap, 0, pte);
    if !w.os.mutated(mutants::KMAP_DEFERRED) {
        w.os.arch_flush_lazy_mmu_mode()?;
    }
    w.os.promised();
    Ok(())
}
