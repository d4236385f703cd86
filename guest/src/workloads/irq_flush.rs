//! An interrupt in the middle of a section calls `arch_flush_lazy_mmu_mode`: per-CPU modes read as
//! none there, 7.2 flushes.

use super::WorkloadInfo;
use crate::kernel::Os;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "irq_flush",
    models: "arch_flush in an interrupt, the queue not empty",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    w.os.on_ipi(handler);
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.user(i)));
            w.os.machine.ipi_self();
            w.alive()?;
            (at..entries.end).for_each(|i| w.set(&r, i, w.user(i)));
            Ok(())
        })?;
    }
    Ok(())
}

fn handler(os: Os<'_>) {
    os.core.verdict.note(os.arch_flush_lazy_mmu_mode());
}
