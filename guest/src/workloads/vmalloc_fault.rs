//! `vmalloc_fault` in the middle of a section: an L2 entry is copied in, flushed, and the address
//! behind it used at once.

use super::WorkloadInfo;
use crate::frames::PER_TABLE;
use crate::machine::Access;
use crate::mutants;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "vmalloc_fault",
    models: "vmalloc_fault: an upper-level entry and arch_flush mid-section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    // One table beyond the region's own is built but not linked: the one that the fault links.
    let synced = w.region_of(Place::Kernel, PER_TABLE + 1, &|i| first_kernel(w, i))?;
    let entry = w.os.unlink_table(&synced, 1)?;
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.user(i)));
            w.os.set_pte(synced.l2_at(w.os, 1), entry);
            if !w.os.mutated(mutants::VMALLOC_SYNC_DEFERRED) {
                w.os.arch_flush_lazy_mmu_mode()?;
            }
            w.os.use_page(&synced, PER_TABLE, Access::Read, true);
            (at..entries.end).for_each(|i| w.set(&r, i, w.user(i)));
            Ok(())
        })?;
        if entries.end < w.ptes {
            w.os.unlink_table(&synced, 1)?;
        }
    }
    Ok(())
}

/// Only the first page of each table is mapped.
fn first_kernel(w: &Work<'_>, i: usize) -> Pte {
    if i.is_multiple_of(PER_TABLE) {
        w.kernel(0)
    } else {
        Pte::EMPTY
    }
}
