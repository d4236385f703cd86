//! `change_pte_range` on a page in use: between `modify_prot_start`, which only reads here, and the
//! commit, the CPU sets D in the middle entry. The commit says PRESERVE_AD, so D is still there when
//! the queue has gone out, and no entry has it otherwise.

use super::WorkloadInfo;
use crate::frames::tag;
use crate::machine::Access;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};
use hypercalls::PteFlags;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "mprotect_dirty",
    models: "change_pte_range, D set before the commit: B, keeping A and D",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let clean = |i| w.user(i).without(PteFlags::DIRTY);
    let r = w.region(Place::User, &clean)?;
    for entries in w.tables() {
        let at = middle(&entries);
        w.locked_section(&r, entries.clone(), Enter::WithPtes, || {
            for i in entries.clone() {
                if i == at {
                    let word = tag(clean(i).mfn());
                    w.os.use_page(&r, i, Access::Write(word), true);
                }
                w.commit(&r, i, w.user_ro(i));
            }
            Ok(())
        })?;
        entries.for_each(|i| w.os.compare_bit(&r, i, PteFlags::DIRTY, i == at));
    }
    Ok(())
}
