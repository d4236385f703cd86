//! DEBUG_PAGEALLOC in the middle of a section: `__kernel_map_pages` maps a page, flushes, and the
//! page is used at once.

use super::WorkloadInfo;
use crate::machine::Access;
use crate::mutants;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "kernel_map_pages",
    models: "__kernel_map_pages: a kernel entry and arch_flush mid-section",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|_| Pte::EMPTY)?;
    let direct = w.region_of(Place::Fixmap, w.ptes, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..at).for_each(|i| w.set(&r, i, w.user(i)));
            w.set(&direct, at, w.kernel(at));
            if !w.os.mutated(mutants::PAGEALLOC_DEFERRED) {
                w.os.arch_flush_lazy_mmu_mode()?;
            }
            w.os.promised();
            w.os.use_page(&direct, at, Access::Read, true);
            (at..entries.end).for_each(|i| w.set(&r, i, w.user(i)));
            Ok(())
        })?;
    }
    Ok(())
}
