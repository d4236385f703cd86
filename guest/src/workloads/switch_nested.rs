//! As `switch`, with an inner section around all the writes: 6.12 finds its mode still on.

use super::WorkloadInfo;
use super::switch::point;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "switch_nested",
    models: "preempted after 100 entries at depth 2",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let by = w.preemptor()?;
        let at = point(&entries);
        w.section(&r, entries.clone(), Enter::Plain, || {
            let inner = w.os.lazy_mmu_mode_enable()?;
            (entries.start..at).for_each(|i| w.set(&r, i, w.kernel(i)));
            w.preempt(by);
            w.alive()?;
            (at..entries.end).for_each(|i| w.set(&r, i, w.kernel(i)));
            w.os.lazy_mmu_mode_disable(inner)?;
            w.os.promised();
            Ok(())
        })?;
    }
    Ok(())
}
