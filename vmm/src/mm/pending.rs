//! What one hypercall may do, and what is left for the next. A tree that takes longer than a
//! hypercall may is left under way, and goes on before anything else does: at the next hypercall of
//! whichever vCPU. Who asked for a promotion executes its hypercall again and then finds the
//! reference it wanted, or the refusal, kept for it; a demotion nobody waits for.

use super::tree::Climb;
use super::{Mm, Refusal};
use crate::memory::Memory;
use arrayvec::ArrayVec;
use hypercalls::{Level, Mfn};
use std::collections::VecDeque;

/// Results kept: one a vCPU can wait for, and as many vCPUs as there can be.
const KEPT: usize = 32;
/// Work after which a result that nobody asked for goes: seconds, where a hypercall that is executed
/// again asks at once.
const KEPT_FOR: u64 = 1 << 28;

/// A tree that is under way, or waits for one that is.
#[derive(Debug)]
enum Job {
    /// A reference that somebody will ask for again.
    Take(Mfn, Level, Climb),
    /// A reference that is to be dropped.
    Drop(Mfn, Level),
    /// A tree that loses its last.
    Demote(Climb),
}

/// A reference that was taken for somebody, or why it could not be.
#[derive(Debug)]
struct Kept {
    mfn: Mfn,
    level: Level,
    result: Result<(), Refusal>,
    /// The work counter then.
    since: u64,
}

/// Everything that is left for later.
#[derive(Debug, Default)]
pub(super) struct Pending {
    jobs: VecDeque<Job>,
    kept: ArrayVec<Kept, KEPT>,
}

impl Mm {
    /// Lets operations do `work` from now on before they are cut short, and has them wait for other
    /// vCPUs; `None`: whatever it takes, as nobody else runs.
    pub fn limit(&mut self, work: Option<u64>) {
        self.until = work.map_or(u64::MAX, |work| self.work.saturating_add(work));
    }

    /// Whether the work allowed is done, or a flush has to come first.
    #[inline]
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.work >= self.until || self.awaits_flush
    }

    /// Goes on with what earlier operations left under way; whether nothing is any more. Only then
    /// may another operation begin.
    #[inline]
    pub fn settle(&mut self, mem: &Memory) -> bool {
        let pending = &self.pending;
        (pending.jobs.is_empty() && pending.kept.is_empty()) || self.settle_jobs(mem)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.jobs.is_empty()
    }

    /// References that were taken for a hypercall which has not been executed again yet.
    pub fn kept(&self) -> impl Iterator<Item = (Level, Mfn)> {
        let taken = self.pending.kept.iter().filter(|kept| kept.result.is_ok());
        taken.map(|kept| (kept.level, kept.mfn))
    }

    #[cold]
    fn settle_jobs(&mut self, mem: &Memory) -> bool {
        let oldest = self.pending.kept.first();
        if oldest.is_some_and(|kept| self.work - kept.since > KEPT_FOR) {
            self.forget_oldest();
        }
        while let Some(job) = self.pending.jobs.pop_front() {
            if let Some(job) = self.go_on(mem, job) {
                self.pending.jobs.push_front(job);
                if self.is_over() {
                    return false;
                }
            }
        }
        true
    }

    /// Does what the time allows of a job; what is left of it.
    fn go_on(&mut self, mem: &Memory, job: Job) -> Option<Job> {
        match job {
            Job::Take(mfn, level, mut climb) => {
                if !self.climb(mem, &mut climb) {
                    return Some(Job::Take(mfn, level, climb));
                }
                self.keep(mfn, level, climb.result());
                None
            }
            Job::Drop(mfn, level) => {
                let visit = self.begin_drop(mem, mfn, level)?;
                Some(Job::Demote(Climb::new(visit)))
            }
            Job::Demote(mut climb) => (!self.climb(mem, &mut climb)).then_some(Job::Demote(climb)),
        }
    }

    /// Keeps a result until it is asked for. The oldest goes if nobody ever does.
    fn keep(&mut self, mfn: Mfn, level: Level, result: Result<(), Refusal>) {
        if self.pending.kept.is_full() {
            self.forget_oldest();
        }
        self.pending.kept.push(Kept {
            mfn,
            level,
            result,
            since: self.work,
        });
    }

    fn forget_oldest(&mut self) {
        let oldest = self.pending.kept.remove(0);
        if oldest.result.is_ok() {
            let (mfn, level) = (oldest.mfn, oldest.level);
            self.pending.jobs.push_back(Job::Drop(mfn, level));
        }
    }

    /// The result kept for a reference that is asked for again.
    fn claim(&mut self, mfn: Mfn, level: Level) -> Option<Result<(), Refusal>> {
        let kept = &mut self.pending.kept;
        let of_this = |kept: &Kept| kept.mfn == mfn && kept.level == level;
        let at = kept.iter().position(of_this)?;
        Some(kept.remove(at).result)
    }

    /// Takes a reference on `mfn` as a table of `level`, promoting it if it is free.
    pub(super) fn take_table(
        &mut self,
        mem: &Memory,
        mfn: Mfn,
        level: Level,
    ) -> Result<(), Refusal> {
        if !self.settle(mem) {
            return Err(Refusal::Unfinished);
        }
        if let Some(result) = self.claim(mfn, level) {
            return result;
        }
        let Some(visit) = self.begin_take(mem, mfn, level)? else {
            return Ok(());
        };
        let mut climb = Climb::new(visit);
        if self.climb(mem, &mut climb) {
            return climb.result();
        }
        self.pending.jobs.push_back(Job::Take(mfn, level, climb));
        Err(Refusal::Unfinished)
    }

    /// Drops a reference on a table; the last one demotes it, now or later.
    pub(super) fn drop_table(&mut self, mem: &Memory, mfn: Mfn, level: Level) {
        self.pending.jobs.push_back(Job::Drop(mfn, level));
        self.settle_jobs(mem);
    }
}
