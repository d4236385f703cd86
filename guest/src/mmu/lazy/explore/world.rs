//! A state that calls work on: two tasks' and a CPU's lazy state, the real policy, and a queue
//! that only knows whose write waits.

use super::super::{Bug, Context, CpuLazy, Hint, Policy, TABLE, TaskLazy, Token};
use super::Subject;
use crate::config::Config;
use Call::*;
use core::cell::{Cell, RefCell};
use hypercalls::Vaddr;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Section(Token),
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Enable,
    EnableWithPtes,
    Disable,
    Pause,
    Resume,
    ArchFlush,
    Write,
    Switch,
    /// An interrupt that writes where the CPU stands.
    IrqWrite,
    /// One that calls `arch_flush_lazy_mmu_mode`.
    IrqFlush,
    /// One with a section of its own, and a write in it.
    IrqSection,
}

impl Call {
    /// Whether all that was written before is visible after it. Interrupts promise nothing to whom
    /// they interrupt.
    pub(super) fn promises(self) -> bool {
        matches!(self, Disable | Pause | ArchFlush | Switch)
    }
}

/// The range of every section that names one.
const RANGE: Hint = Hint {
    start: Vaddr(0),
    end: Vaddr(0x1000),
};

/// What the other task does if the call is preempted: looks around, or writes where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    Looks,
    Writes,
}

/// Whether a write waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Must,
    May,
    MustNot,
}

/// All there is to know at a point.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) lazy: [TaskLazy; 2],
    pub(super) cpu: CpuLazy,
    pub(super) open: [Vec<Open>; 2],
    /// Whether a write of the task waits in the CPU's queue.
    pub(super) waiting: [bool; 2],
    pub(super) now: usize,
}

impl State {
    pub(super) fn depth(&self) -> usize {
        let sections = self.open[self.now].iter().filter(|o| **o != Open::Pause);
        sections.count()
    }

    /// From what is open alone, whatever the policy.
    pub(super) fn waits(&self) -> Waits {
        let open = &self.open[self.now];
        match (open.contains(&Open::Pause), open.last()) {
            (_, None | Some(Open::Pause)) => Waits::MustNot,
            (false, _) => Waits::Must,
            (true, _) => Waits::May,
        }
    }
}

/// A state that calls work on.
pub(super) struct World {
    pub(super) subject: Subject,
    pub(super) policy: &'static dyn Policy,
    pub(super) lazy: [Cell<TaskLazy>; 2],
    pub(super) cpu: Cell<CpuLazy>,
    pub(super) waiting: [Cell<bool>; 2],
    pub(super) now: Cell<usize>,
    pub(super) visit: Cell<Option<Visit>>,
    in_interrupt: Cell<bool>,
    pub(super) wrong: RefCell<Option<String>>,
}

impl World {
    pub(super) fn of(subject: Subject, state: &State) -> World {
        let info = TABLE.iter().find(|p| p.name == subject.name);
        World {
            subject,
            policy: info.expect("a policy").policy,
            lazy: state.lazy.map(Cell::new),
            cpu: Cell::new(state.cpu),
            waiting: state.waiting.map(Cell::new),
            now: Cell::new(state.now),
            visit: Cell::new(None),
            in_interrupt: Cell::new(false),
            wrong: RefCell::new(None),
        }
    }

    pub(super) fn on<R>(&self, f: impl FnOnce(&dyn Policy, &Context<'_>) -> R) -> R {
        let cx = Context {
            task: &self.lazy[self.now.get()],
            cpu: &self.cpu,
            in_interrupt: self.in_interrupt.get(),
            config: Config {
                hooks: self.subject.hooks,
                ..Config::LINUX
            },
            flush: &|_| self.waiting.iter().for_each(|w| w.set(false)),
            window: &|| self.preempted(),
        };
        f(self.policy, &cx)
    }

    pub(super) fn note<T>(&self, done: Result<T, Bug>) -> Option<T> {
        let wrong = done.as_ref().err().map(|bug| bug.name.to_string());
        let mut first = self.wrong.borrow_mut();
        *first = first.take().or(wrong);
        done.ok()
    }

    fn write(&self) {
        if self.on(|p, cx| p.queues(cx)) {
            self.waiting[self.now.get()].set(true);
        }
    }

    /// The switch flushes whatever the policy left.
    fn switch(&self) {
        self.note(self.on(|p, cx| p.switch_out(cx)));
        self.waiting.iter().for_each(|w| w.set(false));
        self.now.set(1 - self.now.get());
        self.note(self.on(|p, cx| p.switch_in(cx)));
    }

    /// There and back, if a preemption is still due.
    pub(super) fn preempted(&self) {
        let Some(visit) = self.visit.take() else {
            return;
        };
        self.switch();
        if visit == Visit::Writes {
            self.write();
        }
        self.switch();
    }

    /// An interrupt does `f`. Its writes are direct, whatever it interrupts.
    fn interrupt(&self, f: impl FnOnce()) {
        self.in_interrupt.set(true);
        f();
        if self.on(|p, cx| p.queues(cx)) {
            self.wrong
                .borrow_mut()
                .get_or_insert_with(|| "an interrupt's write waits".to_string());
        }
        self.in_interrupt.set(false);
    }

    fn irq_section(&self) {
        if let Some(token) = self.note(self.on(|p, cx| p.enable(cx))) {
            self.write();
            self.note(self.on(|p, cx| p.disable(cx, token)));
        }
    }

    /// Makes the call; what is open after it.
    pub(super) fn call(&self, call: Call, mut open: Vec<Open>) -> Vec<Open> {
        match call {
            Enable => {
                let token = self.note(self.on(|p, cx| p.enable(cx)));
                open.push(Open::Section(token.unwrap_or_default()));
            }
            EnableWithPtes => {
                let token = self.note(self.on(|p, cx| p.enable_with_ptes(cx, RANGE)));
                open.push(Open::Section(token.unwrap_or_default()));
            }
            Pause => {
                self.note(self.on(|p, cx| p.pause(cx)));
                open.push(Open::Pause);
            }
            Disable | Resume => match open.pop() {
                Some(Open::Section(token)) => {
                    self.note(self.on(|p, cx| p.disable(cx, token)));
                }
                _ => {
                    self.note(self.on(|p, cx| p.resume(cx)));
                }
            },
            ArchFlush => {
                self.note(self.on(|p, cx| p.arch_flush(cx)));
            }
            Write => self.write(),
            Switch => self.switch(),
            IrqWrite => self.interrupt(|| self.write()),
            IrqFlush => self.interrupt(|| {
                self.note(self.on(|p, cx| p.arch_flush(cx)));
            }),
            IrqSection => self.interrupt(|| self.irq_section()),
        }
        open
    }
}
