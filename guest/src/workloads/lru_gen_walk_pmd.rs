//! `walk_pmd_range_locked`: 66 L2 entries are looked at in a section, and a Xen PV kernel writes none.
//! It would clear A in place (T) of huge entries, which PV guests do not have, and of those that name
//! tables where the machine allows; there it does not (`arch_has_hw_nonleaf_pmd_young`, 4aaf269c768d),
//! as Xen emulates writes to L1s alone. So the section is empty, and nothing may change.

use super::WorkloadInfo;
use crate::frames::PER_TABLE;
use crate::meter::add;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Work};
use hypercalls::PteFlags;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "lru_gen_walk_pmd",
    models: "walk_pmd_range_locked: 66 PMDs, none written on Xen PV",
    run,
};

/// `MIN_LRU_BATCH`, and one before and behind.
const PMDS: usize = 66;

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.os.repeat_table(&r, PMDS)?;
    w.locked_section(&r, 0..w.ptes.min(PER_TABLE), Enter::Plain, || {
        (0..PMDS).for_each(|n| look(w, &r, n));
        Ok(())
    })
}

/// `get_pmd_pfn` finds no huge page, so the next one.
fn look(w: &Work<'_>, r: &Region, n: usize) {
    let pmd = w.os.machine.read_pte(r.l2_at(w.os, n));
    add(&w.os.core.oracle.compared, 1);
    if pmd.has(PteFlags::PSE) || !pmd.has(PteFlags::PRESENT | PteFlags::ACCESSED) {
        w.os.violated(format_args!("L2 entry {n} is {:#x}", pmd.0));
    }
}
