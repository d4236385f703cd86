//! `change_pte_range`: each entry is read and committed with A and D preserved; the TLB flush comes
//! after the section.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "mprotect",
    models: "change_pte_range: 512 B",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| w.commit(&r, i, w.user_ro(i)))
}
