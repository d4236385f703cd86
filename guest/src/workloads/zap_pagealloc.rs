//! `zap_pte_range` gathers present pages (T). After 8 of them the gather needs a page for its list, and
//! with DEBUG_PAGEALLOC the allocator maps it in the direct map as arm64 does, by
//! `apply_to_page_range`: a section in the section (1ef3095b1405). The page is used at once.

use super::WorkloadInfo;
use crate::machine::Access;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "zap_pagealloc",
    models: "zap_pte_range: T, and under DEBUG_PAGEALLOC a nested section",
    run,
};

/// `MMU_GATHER_BUNDLE`: what a gather holds without a page of its own.
const BUNDLE: usize = 8;

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    let direct = w.region_of(Place::Fixmap, 1, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        let full = entries.start + BUNDLE;
        w.locked_section(&r, entries.clone(), Enter::WithPtes, || {
            for i in entries {
                if i == full {
                    map(w, &direct)?;
                }
                w.get_and_clear(&r, i);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// `debug_pagealloc_map_pages`, and the gather's first use of its page.
fn map(w: &Work<'_>, direct: &Region) -> Done {
    let inner = w.enter(direct, 0..1, Enter::WithPtes)?;
    w.set(direct, 0, w.kernel(0));
    w.leave(inner)?;
    w.os.promised();
    w.os.use_page(direct, 0, Access::Read, true);
    Ok(())
}
