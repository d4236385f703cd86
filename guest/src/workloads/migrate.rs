//! `migrate_vma_collect_pmd` on anon-exclusive pages: taken (T), that page's TLB flush queued, a
//! migration entry set (B); one more flush before the section ends.

use super::WorkloadInfo;
use super::pagemap_scan::flushed_early;
use crate::mutants;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "migrate",
    models: "migrate_vma_collect_pmd, anon-exclusive: T, flush, B; a last flush",
    run,
};

const EARLY: &str = "TLB flushed before the migration entry is there (non-FIFO back end)";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            for i in entries {
                w.get_and_clear(&r, i);
                w.os.flush_tlb_multi(Some(r.va(i)));
                w.set(&r, i, w.swap(i));
            }
            if !w.os.mutated(mutants::NO_FINAL_FLUSH) {
                w.os.flush_tlb_multi(None);
            }
            Ok(())
        })?;
    }
    flushed_early(w, EARLY);
    Ok(())
}
