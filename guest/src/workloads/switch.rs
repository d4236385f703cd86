//! A section without a lock is preempted after 100 entries (half, if there are no more than 100):
//! another process runs, then it goes on.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use core::ops::Range;
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "switch",
    models: "preempted after 100 entries",
    run,
};

const AFTER: usize = 100;

/// Where the preemption comes.
pub(super) fn point(entries: &Range<usize>) -> usize {
    if entries.len() > AFTER {
        entries.start + AFTER
    } else {
        middle(entries)
    }
}

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let by = w.preemptor()?;
        let at = point(&entries);
        w.section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.kernel(i)));
            w.preempt(by);
            w.alive()?;
            (at..entries.end).for_each(|i| w.set(&r, i, w.kernel(i)));
            Ok(())
        })?;
    }
    Ok(())
}
