//! The same function, pageout. Folios are isolated where cold deactivates them, which writes no entry:
//! entry by entry the two are equal. Modelled here: kernels after 6.1 leave and unlock every 32 entries
//! if a reschedule is due (it is), and after the section the pages are reclaimed, which sleeps.

use super::WorkloadInfo;
use super::madvise_cold::age;
use crate::config::Release;
use crate::mmu::Token;
use crate::mutants;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Stop, Work};
use core::ops::Range;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_pageout",
    models: "as cold; leaves before cond_resched, reclaims after the section",
    run,
};

/// `SWAP_CLUSTER_MAX`.
const CLUSTER: usize = 32;
const RESCHEDULES: &str = "cond_resched in a lazy section";
const RECLAIMS: &str = "reclaim_pages, which sleeps, in a lazy section";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        w.os.preempt_disable();
        let done = table(w, &r, entries);
        w.os.preempt_enable();
        done?;
        w.os.promised();
        w.might_sleep(RECLAIMS);
    }
    w.all_old(&r);
    Ok(())
}

fn table(w: &Work<'_>, r: &Region, entries: Range<usize>) -> Done {
    w.measured(|| {
        let mut token = w.enter(r, entries.clone(), Enter::WithPtes)?;
        for i in entries.clone() {
            let done = i - entries.start;
            if w.release > Release::V6_1 && done > 0 && done.is_multiple_of(CLUSTER) {
                token = resched(w, r, i..entries.end, token)?;
            }
            age(w, r, i);
        }
        w.leave(token)
    })
}

/// The early exit: out of the section, out of the lock, and back.
fn resched(
    w: &Work<'_>,
    r: &Region,
    rest: Range<usize>,
    token: Option<Token>,
) -> Result<Option<Token>, Stop> {
    if !w.os.mutated(mutants::MADVISE_EXIT_NO_LEAVE) {
        w.leave(token)?;
        w.os.promised();
    }
    w.os.preempt_enable();
    w.might_sleep(RESCHEDULES);
    w.os.preempt_disable();
    w.enter(r, rest, Enter::WithPtes)
}
