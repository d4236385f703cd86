//! `move_present_ptes` of UFFDIO_MOVE: taken at the source (T), set at the destination (B).

use super::WorkloadInfo;
use crate::config::Release;
use crate::region::Place;
use crate::work::{Done, Enter, Stop, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "uffd_move",
    models: "move_present_ptes: T and B; after 6.12",
    run,
};

fn run(w: &Work<'_>) -> Done {
    if w.release < Release::V7 {
        return Err(Stop::Skip("move_present_ptes came after 6.12"));
    }
    let from = w.region(Place::User, &|i| w.user(i))?;
    let to = w.region(Place::Second, &|_| Pte::EMPTY)?;
    w.each_locked(&from, Enter::Plain, |i| {
        w.get_and_clear(&from, i);
        w.set(&to, i, w.user(i));
    })
}
