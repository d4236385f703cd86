//! The 16th entry of each table (the middle one, if there are fewer than 31) would map a page table
//! writable and is refused: what follows it in the same `mmu_update` is not done, and nothing is
//! retried.

use super::WorkloadInfo;
use crate::config::Order;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::{Pte, PteFlags};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "failing_request",
    models: "request k of a batch is refused",
    run,
};

const K: usize = 15;
const LOST: &str = "mmu_update failed: what followed in the batch is lost";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    let table = PteFlags::PRESENT | PteFlags::RW | PteFlags::ACCESSED | PteFlags::DIRTY;
    let forbidden = Pte::new(r.at(w.os, 0).mfn(), table);
    for entries in w.tables() {
        let bad = entries.start + K.min(entries.len() / 2);
        w.measured(|| {
            let token = w.enter(&r, entries.clone(), Enter::Plain)?;
            for i in entries.clone() {
                let pte = if i == bad { forbidden } else { w.kernel(i) };
                w.set_unwatched(&r, i, pte);
            }
            w.leave(token)
        })?;
        w.os.set_model(&r, bad, Pte::EMPTY);
        lost(w, &r, bad + 1..entries.end);
        if w.os.config().order == Order::Reordering {
            lost(w, &r, (entries.start..bad).rev());
        }
        entries.for_each(|i| w.os.compare(&r, i));
    }
    if w.os.core.meter.failures.get() == 0 {
        w.os.violated(format_args!(
            "a writable mapping of a page table was accepted"
        ));
    }
    Ok(())
}

/// The entries next to the refused one that are as they were.
fn lost(w: &Work<'_>, r: &Region, mut next: impl Iterator<Item = usize>) {
    let is_lost = |i: usize| {
        let found = w.os.machine.read_pte(r.at(w.os, i));
        found == Pte::EMPTY && w.os.hazard(r, i, LOST)
    };
    // Up to the first that was written.
    next.all(is_lost);
}
