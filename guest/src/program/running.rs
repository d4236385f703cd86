//! A program that runs: its tasks, what each has open, which entries may be queued. What is
//! passed over is decided here, by the program alone and never by the policy.

use super::others::{Errand, handler, interrupt, neighbour};
use super::{ENTRIES, OPS_MAX, Op, TASKS};
use crate::kernel::Os;
use crate::machine::TaskId;
use crate::meter::add;
use crate::mmu::Token;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Stop, Work};
use arrayvec::ArrayVec;
use hypercalls::lab::CHECK_IGNORES;
use hypercalls::{Pte, PteFlags};

/// Depth of sections, pauses and closed bottom halves at most.
const DEPTH_MAX: usize = 32;

/// What is open around the next operation.
#[derive(Clone, Copy)]
enum Open {
    Section(Token),
    Pause,
    Bh,
}

/// One of the program's tasks.
struct Thread {
    id: TaskId,
    open: ArrayVec<Open, DEPTH_MAX>,
}

impl Thread {
    fn has(&self, is: fn(&Open) -> bool) -> bool {
        self.open.iter().any(is)
    }

    fn in_interrupt(&self) -> bool {
        self.has(|o| matches!(o, Open::Bh))
    }

    /// In a section, neither paused nor in an interrupt.
    fn lazy(&self) -> bool {
        self.has(|o| matches!(o, Open::Section(_))) && !self.has(|o| !matches!(o, Open::Section(_)))
    }
}

/// A running program.
struct Run<'a> {
    w: Work<'a>,
    region: Region,
    threads: [Thread; TASKS],
    /// The thread that runs.
    now: usize,
    /// The next call is to be preempted in its window.
    window: bool,
    /// Entries written since the last promise: a policy may have them queued.
    pending: [bool; ENTRIES],
}

/// The body of the program's first task.
pub(super) fn main(os: Os<'_>, _: usize) {
    let done = program(os);
    if done.is_ok() && os.core.verdict.bug_on().is_none() {
        os.check_all();
    }
    os.core.verdict.close(done);
}

fn program(os: Os<'_>) -> Done {
    let w = Work::new(os);
    let region = w.region(Place::Kernel, &|i| w.kernel(i))?;
    w.region(Place::Second, &|_| Pte::EMPTY)?;
    w.region(Place::Fixmap, &|_| Pte::EMPTY)?;
    os.on_ipi(handler);
    let mut run = Run {
        w,
        region,
        threads: threads(os)?,
        now: 0,
        window: false,
        pending: [false; ENTRIES],
    };
    os.core.meter.open.set(true);
    let done = run.all();
    os.core.meter.open.set(false);
    // Only the first task has a stack to return on, BUG or not.
    os.become_task(run.threads[0].id);
    done
}

/// This task, and others that the program only pretends to run.
fn threads(os: Os<'_>) -> Result<[Thread; TASKS], Stop> {
    let mut ids = [os.current(); TASKS];
    for id in &mut ids[1..] {
        let forked = os.fork(2, |_, _| {}, 0);
        *id = forked.ok_or(Stop::Error("no free task"))?;
        os.begin(*id);
    }
    Ok(ids.map(|id| Thread {
        id,
        open: ArrayVec::new(),
    }))
}

impl Run<'_> {
    fn all(&mut self) -> Done {
        for n in 0..OPS_MAX {
            let op = self.w.os.core.program.ops.borrow().get(n).copied();
            let Some(op) = op else { break };
            self.step(n, op)?;
            self.w.alive()?;
            let lost = self.threads[self.now].lazy() && !self.w.os.queues();
            add(&self.w.os.core.program.lost, u64::from(lost));
        }
        (0..TASKS).try_for_each(|task| self.finish(task))
    }

    /// Closes what `task` has left open.
    fn finish(&mut self, task: usize) -> Done {
        if self.threads[task].open.is_empty() && self.now != task {
            return Ok(());
        }
        // What keeps the running task on its CPU ends first.
        self.close_all()?;
        self.become_thread(task);
        self.close_all()?;
        self.promise();
        self.w.alive()
    }

    fn close_all(&mut self) -> Done {
        while !self.threads[self.now].open.is_empty() {
            for op in [Op::BhEnable, Op::Resume, Op::Disable] {
                self.bracket(op)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, n: usize, op: Op) -> Done {
        let (w, r) = (self.w, self.region);
        match op {
            Op::Set(entry, frame, writable) => self.set(entry, data(&w, frame, writable)),
            Op::Clear(entry) => self.set(entry, Pte::EMPTY),
            Op::Commit(entry) => self.commit(entry),
            Op::GetAndClear(entry) => self.modify(entry, |i| w.get_and_clear(&r, i)),
            Op::WriteProtect(entry) => self.modify(entry, |i| {
                if w.os.model(&r, i).is_present() {
                    w.wrprotect(&r, i);
                }
            }),
            Op::ArchFlush => {
                w.os.arch_flush_lazy_mmu_mode()?;
                self.promise_unless_interrupt();
            }
            Op::TlbFlush => w.os.flush_tlb_multi(None),
            Op::Switch => self.preempted(n, |_| Ok(()))?,
            Op::Window => self.window = true,
            Op::Task(task) if self.preemptible() => self.become_thread(usize::from(task) % TASKS),
            Op::Task(_) => {}
            Op::Irq(entry) => interrupt(w.os, Errand::Set, entry),
            Op::IrqFlush => interrupt(w.os, Errand::Flush, 0),
            Op::IrqSection(entry) => interrupt(w.os, Errand::Section, entry),
            // With bottom halves off there is no preemption, neither in the call nor after it.
            Op::BhDisable | Op::BhEnable => self.bracket(op)?,
            _ if self.window && self.preemptible() && self.fits(op) => {
                self.window = false;
                self.preempted(n, |run| run.bracket(op))?;
            }
            _ => self.bracket(op)?,
        }
        Ok(())
    }

    fn top(&self) -> Option<Open> {
        self.threads[self.now].open.last().copied()
    }

    /// Whether a call that opens or closes something nests properly here.
    fn fits(&self, op: Op) -> bool {
        match op {
            Op::Disable => matches!(self.top(), Some(Open::Section(_))),
            Op::Resume => matches!(self.top(), Some(Open::Pause)),
            Op::BhEnable => matches!(self.top(), Some(Open::Bh)),
            _ => !self.threads[self.now].open.is_full(),
        }
    }

    /// Whether this task can be switched away from.
    fn preemptible(&self) -> bool {
        !self.threads[self.now].in_interrupt()
    }

    /// Opens or closes something.
    fn bracket(&mut self, op: Op) -> Done {
        if !self.fits(op) {
            return Ok(());
        }
        let os = self.w.os;
        let bh = &os.task(os.current()).bh;
        match op {
            Op::Enable => self.push(Open::Section(os.lazy_mmu_mode_enable()?)),
            Op::EnableWithPtes => {
                let half = 0..ENTRIES / 2;
                let token = self.w.enter(&self.region, half, Enter::WithPtes)?;
                self.push(Open::Section(token.unwrap_or_default()));
            }
            Op::Pause => {
                os.lazy_mmu_mode_pause()?;
                self.promise_unless_interrupt();
                self.push(Open::Pause);
            }
            Op::BhDisable => {
                bh.set(bh.get() + 1);
                self.push(Open::Bh);
            }
            _ => match self.threads[self.now].open.pop() {
                Some(Open::Section(token)) => {
                    os.lazy_mmu_mode_disable(token)?;
                    self.promise_unless_interrupt();
                }
                Some(Open::Pause) => os.lazy_mmu_mode_resume()?,
                Some(Open::Bh) => bh.set(bh.get() - 1),
                None => {}
            },
        }
        Ok(())
    }

    fn push(&mut self, open: Open) {
        self.threads[self.now].open.push(open);
    }

    fn set(&mut self, entry: u8, pte: Pte) {
        let i = usize::from(entry) % ENTRIES;
        if self.passes(i) {
            return;
        }
        self.w.set(&self.region, i, pte);
        self.pending[i] = true;
    }

    fn commit(&mut self, entry: u8) {
        let i = usize::from(entry) % ENTRIES;
        let now = self.w.os.model(&self.region, i);
        if now.is_present() && !self.passes(i) {
            let pte = now.without(PteFlags::RW);
            self.w.commit(&self.region, i, pte);
            self.pending[i] = true;
        }
    }

    /// Whether a write here would overtake one that may be queued.
    fn passes(&self, i: usize) -> bool {
        self.pending[i] && self.threads[self.now].in_interrupt()
    }

    fn modify(&mut self, entry: u8, f: impl FnOnce(usize)) {
        let i = usize::from(entry) % ENTRIES;
        if !self.pending[i] {
            f(i);
            self.pending[i] = self.w.os.config().rmw == crate::config::Rmw::Queued;
        }
    }

    /// Does `f`, preempted by a new task: in its first window, or else right after it.
    fn preempted(&mut self, n: usize, f: impl FnOnce(&mut Self) -> Done) -> Done {
        let os = self.w.os;
        if !self.preemptible() {
            return f(self);
        }
        let other = os
            .fork(2, neighbour, n)
            .ok_or(Stop::Error("no free task"))?;
        os.wake(other);
        os.core.window.set(1);
        os.core.oracle.window_armed.set(true);
        let done = f(self);
        if os.core.oracle.window_armed.take() {
            os.core.window.set(0);
            os.machine.timer_now();
        }
        done?;
        self.promise();
        Ok(())
    }

    fn become_thread(&mut self, task: usize) {
        if task != self.now {
            self.now = task;
            self.w.os.become_task(self.threads[task].id);
            self.promise();
        }
    }

    fn promise_unless_interrupt(&mut self) {
        if self.preemptible() {
            self.promise();
        }
    }

    /// Everything written so far must be visible.
    fn promise(&mut self) {
        let os = self.w.os;
        os.promised();
        self.pending = [false; ENTRIES];
        let slot = &os.core.program;
        add(&slot.promises, 1);
        // Not the neighbour's own: when it runs depends on whether the policy has a window. It
        // looks at them itself, and so does the final check.
        for place in [Place::Kernel, Place::Fixmap] {
            if let Some(r) = os.core.oracle.regions[place as usize].get() {
                (0..r.count).for_each(|i| digest(os, &r, i));
            }
        }
    }
}

/// FNV-1a over what the policy can influence of an entry.
fn digest(os: Os<'_>, r: &Region, i: usize) {
    let pte = os.machine.read_pte(r.at(os, i)).0 & !CHECK_IGNORES;
    let digest = &os.core.program.digest;
    digest.set((digest.get() ^ pte).wrapping_mul(0x0100_0000_01b3));
}

fn data(w: &Work<'_>, frame: u8, writable: bool) -> Pte {
    let pte = w.kernel(usize::from(frame));
    if writable {
        pte
    } else {
        pte.without(PteFlags::RW | PteFlags::DIRTY)
    }
}
