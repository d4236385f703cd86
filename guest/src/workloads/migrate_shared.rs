//! `migrate_vma_collect_pmd` on pages that are not anon-exclusive: taken (T) without a flush of their
//! own, a migration entry set (B); the one flush comes before the section ends.

use super::WorkloadInfo;
use super::pagemap_scan::flushed_early;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "migrate_shared",
    models: "migrate_vma_collect_pmd, not anon-exclusive: T and B; a last flush",
    run,
};

const EARLY: &str = "TLB flushed before the migration entries (non-FIFO back end)";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            for i in entries {
                w.get_and_clear(&r, i);
                w.set(&r, i, w.swap(i));
            }
            w.os.flush_tlb_multi(None);
            Ok(())
        })?;
    }
    flushed_early(w, EARLY);
    Ok(())
}
