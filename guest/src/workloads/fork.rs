//! `copy_pte_range`: the parent's writable entry is write-protected in place (T), the child gets a
//! copy (B).

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "fork",
    models: "copy_pte_range: T on the parent, B on the child",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let parent = w.region(Place::User, &|i| w.user(i))?;
    let child = w.region(Place::Second, &|_| Pte::EMPTY)?;
    w.each_locked(&parent, Enter::WithPtes, |i| {
        w.wrprotect(&parent, i);
        w.set(&child, i, w.user_ro(i));
    })
}
