//! `PAGEMAP_SCAN` write-protecting: all entries, then a TLB flush, still in the section. The flush
//! must not overtake the writes.

use super::WorkloadInfo;
use crate::config::{Order, Release};
use crate::region::Place;
use crate::work::{Done, Enter, Stop, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "pagemap_scan",
    models: "pagemap_scan_pmd_entry: B, then a flush before disable",
    run,
};

const EARLY: &str = "TLB flushed before the write it covers (non-FIFO back end)";

fn run(w: &Work<'_>) -> Done {
    if w.release < Release::V6_12 {
        return Err(Stop::Skip("PAGEMAP_SCAN came with 6.7"));
    }
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        w.locked_section(&r, entries.clone(), Enter::WithPtes, || {
            entries.for_each(|i| w.commit(&r, i, w.user_ro(i)));
            w.os.flush_tlb_multi(None);
            Ok(())
        })?;
    }
    flushed_early(w, EARLY);
    Ok(())
}

/// With a back end that reorders: whether it let a flush overtake a write.
pub(super) fn flushed_early(w: &Work<'_>, name: &'static str) {
    if w.os.config().order == Order::Reordering && w.os.core.meter.early_flushes.get() > 0 {
        w.os.core.verdict.hazard(name);
    }
}
