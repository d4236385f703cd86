//! Who gets between a program's operations: an interrupt, and a task of its own.

use super::ENTRIES;
use crate::kernel::Os;
use crate::mmu::Bug;
use crate::region::Place;
use crate::work::Work;

/// What the next interrupt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Sets a kernel entry.
    Set,
    /// The same, in a section.
    Section,
    /// `arch_flush_lazy_mmu_mode`.
    Flush,
}

const ERRANDS: [Errand; 3] = [Errand::Set, Errand::Section, Errand::Flush];

/// Interrupts this CPU here.
pub(super) fn interrupt(os: Os<'_>, errand: Errand, entry: u8) {
    let baton = errand as usize * ENTRIES + usize::from(entry) % ENTRIES;
    os.core.oracle.baton.set(baton);
    os.machine.ipi_self();
}

/// The interrupt's handler.
pub(super) fn handler(os: Os<'_>) {
    let baton = os.core.oracle.baton.get();
    let (errand, i) = (ERRANDS[baton / ENTRIES % ERRANDS.len()], baton % ENTRIES);
    os.core.verdict.note(run(os, errand, i));
}

fn run(os: Os<'_>, errand: Errand, i: usize) -> Result<(), Bug> {
    if errand == Errand::Flush {
        return os.arch_flush_lazy_mmu_mode();
    }
    let token = match errand {
        Errand::Section => Some(os.lazy_mmu_mode_enable()?),
        _ => None,
    };
    let w = Work::new(os);
    if let Ok(r) = w.built(Place::Fixmap) {
        w.set(&r, i, w.kernel(i));
    }
    token.map_or(Ok(()), |token| os.lazy_mmu_mode_disable(token))
}

/// What another task does: looks, then a section of its own.
pub(super) fn neighbour(os: Os<'_>, n: usize) {
    os.promised();
    let w = Work::new(os);
    let done = w.built(Place::Second).and_then(|r| {
        let token = os.lazy_mmu_mode_enable()?;
        w.set(&r, n % ENTRIES, w.kernel(n % ENTRIES));
        os.lazy_mmu_mode_disable(token)?;
        os.promised();
        Ok(())
    });
    os.core.verdict.stopped(done);
}
