//! `move_ptes`: taken from the old place (T), set at the new one (B); the flush comes after the
//! section.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "mremap",
    models: "move_ptes: T at the old place, B at the new",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let old = w.region(Place::User, &|i| w.user(i))?;
    let new = w.region(Place::Second, &|_| Pte::EMPTY)?;
    w.each_locked(&old, Enter::WithPtes, |i| {
        w.get_and_clear(&old, i);
        w.set(&new, i, w.user(i));
    })
}
