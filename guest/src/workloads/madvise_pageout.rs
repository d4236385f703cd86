//! The same function, pageout: pages are aged alike, then reclaimed after the section.

use super::WorkloadInfo;
use super::madvise_cold::age;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_pageout",
    models: "madvise_cold_or_pageout_pte_range, pageout: as cold",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    w.each_locked(&r, Enter::WithPtes, |i| age(w, &r, i))
}
