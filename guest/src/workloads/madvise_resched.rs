//! `madvise_free_pte_range` that meets a large folio every 128 pages: it leaves, drops the lock,
//! splits, takes the lock and enters again. 6.1 stayed lazy over the lock's release and the split.

use super::WorkloadInfo;
use super::madvise_free::lazyfree;
use crate::config::Release;
use crate::mmu::Token;
use crate::mutants;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Stop, Work};
use core::ops::Range;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "madvise_resched",
    models: "madvise_free_pte_range with early exits: leave before sleeping",
    run,
};

const SPLIT_EVERY: usize = 128;
const SLEEPS: &str = "split_folio, which sleeps, in a lazy section";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        w.os.preempt_disable();
        let done = table(w, &r, entries);
        w.os.preempt_enable();
        done?;
        w.os.promised();
    }
    Ok(())
}

fn table(w: &Work<'_>, r: &Region, entries: Range<usize>) -> Done {
    w.measured(|| {
        let mut token = w.enter(r, entries.clone(), Enter::WithPtes)?;
        for i in entries.clone() {
            if i > entries.start && (i - entries.start).is_multiple_of(SPLIT_EVERY) {
                token = split(w, r, i..entries.end, token)?;
            }
            lazyfree(w, r, i);
        }
        if w.os.mutated(mutants::MADVISE_NO_LEAVE) {
            return Ok(());
        }
        w.leave(token)
    })
}

/// Out of the section, out of the lock, split, and back.
fn split(
    w: &Work<'_>,
    r: &Region,
    rest: Range<usize>,
    token: Option<Token>,
) -> Result<Option<Token>, Stop> {
    let stays = w.release == Release::V6_1 || w.os.mutated(mutants::SPLIT_WHILE_LAZY);
    if !stays {
        w.leave(token)?;
        w.os.promised();
    }
    w.os.preempt_enable();
    w.might_sleep(SLEEPS);
    w.os.preempt_disable();
    if stays {
        Ok(token)
    } else {
        w.enter(r, rest, Enter::WithPtes)
    }
}
