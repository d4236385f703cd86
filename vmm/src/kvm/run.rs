//! The life of one vCPU: enter, leave, handle, again.
//!
//! Comes in: the shared domain and a vCPU. Goes out: an [`Ending`]. What a trap means is decided
//! by `hypercall` and `trap`; what the host must be told about page tables by `coherence`.

use super::cpu::{Cpu, Entering, Exit};
use super::kick::Kicker;
use super::open::HostError;
use super::probe::Coherence;
use super::shared::{Ending, Shared};
use super::vm::Vm;
use crate::domain::{Domain, Regs, Step, Wait};
use crate::{dump, hypercall, trap};
use hypercalls::Vaddr;
use std::sync::MutexGuard;
use std::time::Duration;

/// How soon a kick is repeated that came while registers must not be touched.
const KICK_AGAIN: Duration = Duration::from_micros(50);
/// How often in a row a kick is put off because there is an `int3` behind rip. A #BP that was still
/// to come has come by then.
const DOUBTS: u32 = 16;
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
        let tsc = cpu.tsc()?;
        let mut domain = shared.lock();
        let now = domain.clock.now();
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
        })
    }

    /// Runs until the domain ends.
    pub(super) fn run(mut self) {
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
        let exit = self.cpu.run();
        self.shared.left(self.index);
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
        if let Err(e) = self.settle(&mut domain) {
            let crash = Step::crash(self.index, &self.regs, crate::domain::CrashReason::Host(e));
            return self.prepare(domain, crash);
        }
        self.rearm(&domain);
        self.load(&mut domain);
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
            domain = self.shared.wait(domain, at_most);
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
        if self.coherence == Coherence::GuestStores && !effects.stores.is_empty() {
            let stores: Vec<_> = effects.stores.iter().map(|s| (s.at, s.value)).collect();
            let root = domain.vcpus[self.index].root();
            self.cpu.replay(&stores, root)?;
            self.entering.full = true;
        }
        let single_pages = effects.flush.pages.iter().map(|(vcpus, _)| vcpus);
        let wanted = single_pages.fold(effects.flush.vcpus, |all, vcpus| all | vcpus);
        let here = 1 << self.index;
        if wanted & here != 0 {
            self.entering.flush = true;
        }
        if wanted & !here != 0 {
            self.shared.flush_others(wanted, self.index);
        }
        let kicks = domain.kicks();
        self.shared.kick_mask(kicks, self.index);
        Ok(())
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

    fn load(&mut self, domain: &mut Domain) {
        let vcpu = &mut domain.vcpus[self.index];
        if std::mem::take(&mut vcpu.segments_dirty) {
            self.entering.full = true;
        }
        if self.cpu.set_ts(vcpu.ts) {
            self.entering.full = true;
        }
        self.cpu.load(
            &self.regs,
            vcpu.root(),
            (vcpu.fs_base, vcpu.gs_base()),
            self.entering,
        );
        self.entering = Entering::default();
    }

    /// Handles an exit. After one at which registers must not be touched the vCPU goes on until
    /// there is another.
    fn handle(&mut self, mut exit: Exit) -> Step {
        let mut doubts = 0;
        loop {
            let busy = matches!(exit, Exit::InterruptedBusy);
            if !busy && let Err(e) = self.cpu.save(&exit, &mut self.regs) {
                return self.dead(e.to_string());
            }
            let doubt = matches!(exit, Exit::Interrupted) && self.breakpoint_behind();
            if !busy && (!doubt || doubts == DOUBTS) {
                return self.act(exit);
            }
            if self.shared.stopped() {
                return Step::Resume;
            }
            doubts += u32::from(doubt);
            exit = self.go_on();
        }
    }

    fn act(&mut self, exit: Exit) -> Step {
        let (mut domain, cpu) = (self.shared.lock(), self.index);
        let (fs_base, gs_base) = self.cpu.bases();
        domain.vcpus[cpu].observe_bases(fs_base, gs_base);
        match exit {
            Exit::Syscall => {
                domain.stats.exit("hypercall");
                hypercall::syscall(&mut domain, cpu, &mut self.regs)
            }
            Exit::Exception {
                vector,
                error_code,
                cr2,
            } => {
                domain.stats.exit("exception");
                trap::exception(&mut domain, cpu, &mut self.regs, vector, error_code, cr2)
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

    /// Enters again without touching registers, and has itself kicked soon.
    fn go_on(&mut self) -> Exit {
        self.shared.arm(self.index, KICK_AGAIN);
        self.armed = None;
        self.enter()
    }

    /// Whether the instruction before rip may be an `int3` whose #BP is still to come.
    fn breakpoint_behind(&self) -> bool {
        let mut byte = [0];
        let at = Vaddr(self.regs.rip.wrapping_sub(1));
        let domain = self.shared.lock();
        domain.view(self.index).copy_in(at, &mut byte).is_ok() && byte == [0xcc]
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
