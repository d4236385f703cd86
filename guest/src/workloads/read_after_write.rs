//! In the middle of a section an entry is cleared (B) and read back: the queue still has it. Whoever
//! must know flushes first: then the entry is gone, whatever the release.

use super::WorkloadInfo;
use crate::mutants;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "read_after_write",
    models: "pte_clear, then pte_none(ptep_get) in the section; again after a flush",
    run,
};

const STALE: &str = "pte_none(ptep_get) false after a queued pte_clear";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            for i in entries {
                w.set(&r, i, Pte::EMPTY);
                if i == at {
                    w.stale(&r, i, STALE);
                    if !w.os.mutated(mutants::CLEAR_UNFLUSHED) {
                        w.os.arch_flush_lazy_mmu_mode()?;
                    }
                    w.os.promised();
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
