//! The life of one vCPU: enter, leave, handle, again.
//!
//! Comes in: the shared domain and a vCPU. Goes out: an [`Ending`]. What a trap means is decided
//! by `hypercall` and `trap`; what the host must be told about page tables by `coherence`.

use super::cpu::{Cpu, Entering, Exit};
use super::fault::Fault;
use super::kick::Kicker;
use super::open::HostError;
use super::probe::Coherence;
use super::shared::{Ending, Shared};
use super::vm::Vm;
use crate::domain::{Domain, Regs, Step, Wait};
use crate::mm::Flush;
use crate::{dump, hypercall, trap};
use hypercalls::trap::DB;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

/// How soon a kick is repeated that came while registers must not be touched, at first; each time
/// later. Until then others wait with theirs: where exits are slow, they would stop the vCPU again
/// before it has run.
const KICK_AGAIN: Duration = Duration::from_micros(50);
/// How often that time is doubled, at most: to 12.8 ms.
const DOUBLED: u32 = 8;
/// The longest a blocked vCPU sleeps without looking; every event wakes it earlier.
const NAP: Duration = Duration::from_secs(1);

/// One vCPU's thread.
pub(super) struct Runner<'a, 'o> {
    shared: &'a Shared<'o>,
    cpu: Cpu,
    index: usize,
    coherence: Coherence,
    regs: Regs,
    entering: Entering,
    armed: Option<u64>,
    spent: Spent,
}

/// Where a vCPU's time went, beside handling.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    inside: Duration,
    waiting: Duration,
}

impl<'a, 'o> Runner<'a, 'o> {
    /// Creates vCPU `index` on the calling thread.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn new(
        shared: &'a Shared<'o>,
        vm: &Vm,
        index: usize,
        coherence: Coherence,
    ) -> Result<Self, HostError> {
        let cpu = Cpu::new(vm, index as u64)?;
        shared.register(index, Some(Kicker::this_thread()));
        let mut domain = shared.lock();
        let (tsc, now) = match domain.clock.origin() {
            Some(tsc) => (tsc, 0),
            None => (cpu.tsc()?, domain.clock.now()),
        };
        domain.stamp_time(index, tsc, now);
        drop(domain);
        let entering = Entering {
            full: true,
            flush: true,
        };
        Ok(Runner {
            shared,
            cpu,
            index,
            coherence,
            regs: Regs::default(),
            entering,
            armed: None,
            spent: Spent::default(),
        })
    }

    /// Runs until the domain ends, and says where the time went.
    pub(super) fn run(mut self) {
        let began = Instant::now();
        self.turns();
        let Spent { inside, waiting } = self.spent;
        let handling = began.elapsed().saturating_sub(inside + waiting);
        let mut domain = self.shared.lock();
        domain.stats.spend("guest and KVM", inside);
        domain.stats.spend("waiting", waiting);
        domain.stats.spend("handling", handling);
    }

    fn turns(&mut self) {
        let mut step = Step::Down;
        loop {
            let domain = self.shared.lock();
            if !self.prepare(domain, step) {
                return;
            }
            self.shared.hand_on_console();
            // A kick during the stores is used up; the end it announced is not.
            if self.shared.stopped() {
                return;
            }
            let exit = self.enter();
            step = self.handle(exit);
        }
    }

    /// Runs guest code until it is left, having flushed if another vCPU asked for it.
    fn enter(&mut self) -> Exit {
        if self.shared.entering(self.index) {
            self.cpu.flush();
        }
        let began = Instant::now();
        let exit = self.cpu.run();
        self.shared.left(self.index);
        self.spent.inside += began.elapsed();
        exit
    }

    /// Does what `step` says, then readies the vCPU for the next entry; false at the end.
    fn prepare(&mut self, mut domain: MutexGuard<'a, Domain>, mut step: Step) -> bool {
        loop {
            match step {
                Step::Resume => {}
                Step::Yield => {
                    drop(domain);
                    std::thread::yield_now();
                    domain = self.shared.lock();
                }
                Step::Block { .. } | Step::Down => domain = self.sleep(domain),
                Step::Shutdown(reason) => {
                    drop(domain);
                    return self.ended(Ending::Shutdown(reason));
                }
                Step::Crash(crash) => {
                    let dump = dump::render(&domain, &crash);
                    drop(domain);
                    return self.ended(Ending::Crash(dump));
                }
            }
            if self.shared.stopped() {
                return false;
            }
            step = trap::deliver_upcall(&mut domain, self.index, &mut self.regs);
            if matches!(step, Step::Resume) {
                break;
            }
        }
        let settled = self.settle(&mut domain);
        self.rearm(&domain);
        if let Err(e) = settled.and_then(|()| self.load(&mut domain)) {
            let crash = self.dead(e);
            return self.prepare(domain, crash);
        }
        true
    }

    /// The domain ends, with everything on the console that was written before; false.
    fn ended(&self, ending: Ending) -> bool {
        self.shared.hand_on_console();
        self.shared.end(ending);
        false
    }

    /// Waits until the vCPU is up and what it waits for is there.
    fn sleep(&mut self, mut domain: MutexGuard<'a, Domain>) -> MutexGuard<'a, Domain> {
        loop {
            let now = domain.clock.now();
            domain.expire_timers(now);
            if domain.vcpus[self.index].up && domain.is_ready(self.index, now) {
                break;
            }
            if self.shared.stopped() {
                return domain;
            }
            let mine = next_wakeup(&domain, self.index);
            let at_most = mine.map_or(NAP, |at| {
                Duration::from_nanos(at.saturating_sub(now)).min(NAP)
            });
            let began = Instant::now();
            domain = self.shared.wait(domain, at_most);
            self.spent.waiting += began.elapsed();
        }
        domain.resume(self.index);
        if let Some(start) = domain.vcpus[self.index].start.take() {
            self.regs = start;
            self.entering.full = true;
        }
        domain
    }

    /// Makes page-table changes known to the host and to the other vCPUs, and kicks those that
    /// have an event.
    fn settle(&mut self, domain: &mut Domain) -> Result<(), String> {
        let effects = domain.take_effects();
        let shown = self.coherence == Coherence::GuestStores && !Fault::NoShow.is_chosen();
        if shown && !effects.stores.is_empty() {
            let stores: Vec<_> = effects.stores.iter().map(|s| (s.at, s.value)).collect();
            let root = domain.vcpus[self.index].root();
            self.cpu.replay(&stores, root)?;
            self.entering.full = true;
        }
        self.flush(&effects.flush);
        let kicks = domain.kicks();
        self.shared.kick_mask(kicks, self.index);
        Ok(())
    }

    /// As [`Runner::settle`], in the midst of a trap, the domain locked before and after.
    fn flush_early(&mut self, domain: &mut Domain) -> Result<(), Step> {
        self.settle(domain).map_err(|why| self.dead(why))
    }

    /// Has this vCPU flush at its next entry and the others before theirs. A single page costs KVM
    /// a new CR3 value too: it has no cheaper word for one.
    fn flush(&mut self, flush: &Flush) {
        let all = flush.vcpus;
        let pages = flush.pages.iter().fold(0, |mask, (vcpus, _)| mask | vcpus);
        let here = 1 << self.index;
        let whole = all & here != 0 && !Fault::NoFlush.is_chosen();
        let page = pages & here != 0 && !Fault::NoPageFlush.is_chosen();
        if whole || page || Fault::NeedlessFlush.is_chosen() {
            self.entering.flush = true;
        }
        let others = (all | pages) & !here;
        if others != 0 && !Fault::NoRemoteFlush.is_chosen() {
            self.shared.flush_others(others, self.index);
        }
    }

    fn rearm(&mut self, domain: &Domain) {
        let next = domain.next_timer(self.index);
        if next == self.armed {
            return;
        }
        self.armed = next;
        if let Some(at) = next {
            let now = domain.clock.now();
            self.shared
                .arm(self.index, Duration::from_nanos(at.saturating_sub(now)));
        }
    }

    /// Loads the vCPU's state, as much as has changed.
    fn load(&mut self, domain: &mut Domain) -> Result<(), String> {
        let vcpu = &mut domain.vcpus[self.index];
        let xstate = self.cpu.set_xstate(vcpu.osxsave(), vcpu.xcr0);
        self.entering.full |= xstate.map_err(|e| e.to_string())?;
        self.entering.full |= std::mem::take(&mut vcpu.segments_dirty);
        self.entering.full |= self.cpu.set_ts(vcpu.ts);
        if std::mem::take(&mut vcpu.debugregs_dirty) {
            let set = self.cpu.set_debugregs(&vcpu.debugregs);
            set.map_err(|e| e.to_string())?;
        }
        self.cpu.load(
            &self.regs,
            vcpu.root(),
            (vcpu.fs_base, vcpu.gs_base()),
            self.entering,
        );
        self.entering = Entering::default();
        Ok(())
    }

    /// Handles an exit. After one at which registers must not be touched the vCPU goes on until
    /// there is another.
    fn handle(&mut self, mut exit: Exit) -> Step {
        let mut doubled = 0;
        while matches!(exit, Exit::InterruptedBusy) {
            if self.shared.stopped() {
                return Step::Resume;
            }
            exit = self.go_on(KICK_AGAIN * (1 << doubled));
            doubled = (doubled + 1).min(DOUBLED);
        }
        match self.cpu.save(&exit, &mut self.regs) {
            Ok(()) => self.act(exit),
            Err(e) => self.dead(e.to_string()),
        }
    }

    fn act(&mut self, exit: Exit) -> Step {
        let (mut domain, cpu) = (self.shared.lock(), self.index);
        let (fs_base, gs_base) = self.cpu.bases();
        domain.vcpus[cpu].observe_bases(fs_base, gs_base);
        match exit {
            Exit::Syscall => {
                domain.stats.exit("hypercall");
                let mut regs = self.regs;
                let flush = &mut |domain: &mut Domain| self.flush_early(domain);
                let step = hypercall::syscall_with(&mut domain, cpu, &mut regs, flush);
                self.regs = regs;
                step
            }
            Exit::Exception {
                vector,
                error_code,
                cr2,
            } => {
                domain.stats.exit("exception");
                if vector == DB {
                    match self.cpu.dr6() {
                        Ok(dr6) => domain.vcpus[cpu].observe_dr6(dr6),
                        Err(e) => return self.dead(e.to_string()),
                    }
                }
                loop {
                    let regs = &mut self.regs;
                    let step = trap::exception(&mut domain, cpu, regs, vector, error_code, cr2);
                    if !domain.mm.awaits_flush() {
                        return step;
                    }
                    if let Err(step) = self.flush_early(&mut domain) {
                        return step;
                    }
                }
            }
            Exit::Interrupted => {
                domain.stats.exit("kick");
                let now = domain.clock.now();
                domain.expire_timers(now);
                self.armed = None;
                Step::Resume
            }
            Exit::InterruptedBusy => Step::Resume,
            Exit::StoresDone => self.dead("the store stub ran unasked".into()),
            Exit::Dead(why) => self.dead(why),
        }
    }

    /// Enters again without touching registers, and has itself kicked after a while.
    fn go_on(&mut self, quiet: Duration) -> Exit {
        self.shared.quiet(self.index, quiet);
        self.armed = None;
        self.enter()
    }

    fn dead(&self, why: String) -> Step {
        Step::crash(
            self.index,
            &self.regs,
            crate::domain::CrashReason::Host(why),
        )
    }
}

/// When vCPU `cpu` has something to do by itself: a timer, or the end of a poll.
fn next_wakeup(domain: &Domain, cpu: usize) -> Option<u64> {
    let poll = match &domain.vcpus[cpu].wait {
        Some(Wait::Poll { until, .. }) => *until,
        _ => None,
    };
    poll.into_iter().chain(domain.next_timer(cpu)).min()
}

impl Drop for Runner<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Or the loop beside the vCPUs would wait for ever.
            let why = format!("the thread of vCPU {} panicked", self.index);
            self.shared.end(Ending::Crash(why));
        }
        self.shared.register(self.index, None);
    }
}
