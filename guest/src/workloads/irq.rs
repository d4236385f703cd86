//! An interrupt in the middle of a section sets a kernel entry of its own: one direct update,
//! visible at once; the interrupted task's queue is left alone.

use super::WorkloadInfo;
use crate::kernel::Os;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "irq",
    models: "an interrupt writes a kernel entry of its own mid-section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    w.region_of(Place::Fixmap, 1, &|_| Pte::EMPTY)?;
    w.os.on_ipi(handler);
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.user(i)));
            interrupted(w);
            (at..entries.end).for_each(|i| w.set(&r, i, w.user(i)));
            Ok(())
        })?;
    }
    Ok(())
}

fn interrupted(w: &Work<'_>) {
    let queued = || w.os.cpu().queue.borrow().updates();
    let before = queued();
    w.os.machine.ipi_self();
    if queued() != before {
        w.os.violated(format_args!(
            "the interrupt changed the queue: {before} to {}",
            queued()
        ));
    }
}

fn handler(os: Os<'_>) {
    let w = Work::new(os);
    if let Ok(r) = w.built(Place::Fixmap) {
        w.set(&r, 0, w.kernel(0));
    }
}
