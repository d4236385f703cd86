//! In the middle of a section an entry is cleared (B) and read back: the queue still has it.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "read_after_write",
    models: "pte_clear, then pte_none(ptep_get) in the section",
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
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
