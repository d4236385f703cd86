//! `--paranoid`: the independent recount of the page-table rules as a domain runs. For days when the
//! rules themselves are doubted. A recount reads every live table, so it is made after every so many
//! traps, at the end of each of the lab's cells, and at the domain's own end. Comes in: a trap that
//! was handled, with what follows it. Goes out: the same, or the domain's end.

use super::{CrashReason, Domain, Regs, Step};

/// Traps from one recount to the next, at least: the lab takes about a third longer then.
const EVERY: u64 = 200;
/// Frames a recount may look at for each trap: it looks at all of a large guest's, so that it comes
/// more seldom there.
const FRAMES: u64 = 64;

/// When the next recount is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paranoia {
    /// Recounts made; all were right but the last, at most.
    pub recounts: u64,
    traps: u64,
    due: bool,
}

impl Domain {
    /// Has the next recount made when the trap under way is over, if recounts are wanted.
    pub(crate) fn recount_soon(&mut self) {
        if let Some(paranoia) = &mut self.paranoia {
            paranoia.due = true;
        }
    }

    /// A trap of vCPU `cpu` was handled, and `step` follows: unless a recount is due and finds
    /// something.
    pub(crate) fn suspect(&mut self, cpu: usize, regs: &Regs, step: Step) -> Step {
        let every = EVERY.max(self.memory.frames() / FRAMES);
        let Some(paranoia) = &mut self.paranoia else {
            return step;
        };
        paranoia.traps += 1;
        let end = matches!(step, Step::Shutdown(_));
        paranoia.due |= end || paranoia.traps.is_multiple_of(every);
        // A tree that is under way has some of its references: it is recounted when it is done.
        if !paranoia.due || !self.mm.is_settled() {
            return step;
        }
        paranoia.due = false;
        paranoia.recounts += 1;
        let wrong = self.recount();
        let Some(first) = wrong.first() else {
            return step;
        };
        let (differences, first) = (wrong.len(), first.to_string());
        let reason = CrashReason::Miscounted { differences, first };
        Step::crash(cpu, regs, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::Guest;
    use hypercalls::Nr;
    use hypercalls::sched::SCHEDOP_SHUTDOWN;

    fn paranoid() -> Guest {
        let mut guest = Guest::new(1);
        guest.dom.paranoia = Some(Paranoia::default());
        guest
    }

    /// A reference is counted that nobody holds.
    fn miscount(guest: &mut Guest) {
        let (_, mfn) = guest.page();
        guest.dom.mm.get_writable(mfn).expect("memory");
    }

    #[track_caller]
    fn is_miscounted(step: &Step) {
        let Step::Crash(crash) = step else {
            panic!("{step:?}");
        };
        let CrashReason::Miscounted { differences, first } = &crash.reason else {
            panic!("{:?}", crash.reason);
        };
        assert!(*differences > 0 && !first.is_empty());
        assert!(crash.reason.to_string().contains("recount"));
    }

    #[test]
    fn a_wrong_reference_ends_the_domain_in_time() {
        let mut guest = paranoid();
        let call = |guest: &mut Guest| guest.syscall(Nr::XenVersion, [0, 0]);
        assert!((0..2 * EVERY).all(|_| call(&mut guest) == Step::Resume));
        assert_eq!(guest.dom.paranoia.expect("wanted").recounts, 2);
        miscount(&mut guest);
        assert!((1..EVERY).all(|_| call(&mut guest) == Step::Resume));
        is_miscounted(&call(&mut guest));
    }

    #[test]
    fn it_is_found_at_the_end_and_when_asked_for() {
        let mut guest = paranoid();
        miscount(&mut guest);
        guest.dom.recount_soon();
        is_miscounted(&guest.syscall(Nr::XenVersion, [0, 0]));
        let mut guest = paranoid();
        miscount(&mut guest);
        let reason = guest.put(&0u32);
        let step = guest.syscall(Nr::SchedOp, [u64::from(SCHEDOP_SHUTDOWN), reason]);
        is_miscounted(&step);
    }

    /// Nobody looks unless asked to.
    #[test]
    fn without_it_nothing_is_recounted() {
        let mut guest = Guest::new(1);
        miscount(&mut guest);
        guest.dom.recount_soon();
        assert_eq!(guest.syscall(Nr::XenVersion, [0, 0]), Step::Resume);
    }
}
