//! The kernel: all state in one value, shared by interrupt context and every CPU through cells.
//! [`Kernel`] is the machine's face of it; [`Os`] is the same without the machine's type, and the
//! rest of the library is written against that.
//!
//! Why cells suffice: a CPU's queue is only borrowed while upcalls are masked on that CPU, and
//! [`Machine::run_on`] waits, so two CPUs never run library code at the same time.

use crate::config::Config;
use crate::frames::Pool;
use crate::machine::{Machine, TaskId};
use crate::meter::Meter;
use crate::mmu::lazy::{CpuLazy, Token};
use crate::mmu::queue::Queue;
use crate::sched::{Task, TaskState};
use crate::verdict::Verdict;
use arrayvec::ArrayVec;
use core::cell::{Cell, RefCell};
use hypercalls::{Maddr, Pte};

/// CPUs there are at most.
pub(crate) const CPUS: usize = 4;
/// Tasks there are at most, the CPUs' own included.
pub const TASKS: usize = 16;

/// What a CPU has for itself.
pub(crate) struct Cpu {
    /// The multicall buffer.
    pub queue: RefCell<Queue>,
    /// Its lazy mode.
    pub lazy: Cell<CpuLazy>,
    /// Who runs.
    pub current: Cell<TaskId>,
    /// Depth of interrupts.
    pub irq: Cell<u32>,
    /// A switch is due.
    pub need_resched: Cell<bool>,
    /// Who waits to run.
    pub runnable: RefCell<ArrayVec<TaskId, TASKS>>,
}

impl Cpu {
    const fn new() -> Self {
        Cpu {
            queue: RefCell::new(Queue::new()),
            lazy: Cell::new(CpuLazy {
                mode: crate::mmu::lazy::Mode::None,
                nesting: 0,
            }),
            current: Cell::new(TaskId(0)),
            irq: Cell::new(0),
            need_resched: Cell::new(false),
            runnable: RefCell::new(ArrayVec::new_const()),
        }
    }
}

/// All of the library's state.
pub(crate) struct Core {
    /// The cell's axes.
    pub config: Cell<Config>,
    /// The guest's own counts.
    pub meter: Meter,
    /// What became of the cell so far.
    pub verdict: Verdict,
    /// What a CPU has for itself.
    pub cpus: [Cpu; CPUS],
    /// The tasks; the first [`CPUS`] are those the CPUs start on.
    pub tasks: [Task; TASKS],
    /// Frames for tables and data.
    pub pool: Pool,
    /// What an IPI does.
    pub on_ipi: Cell<Option<fn(Os<'_>)>>,
    /// Windows between count and hook still to pass before a timer interrupt comes; 0 for none.
    pub window: Cell<u32>,
    /// The program that runs, if it is one.
    pub program: crate::program::Slot,
    /// Oracle state of the workload that runs.
    pub oracle: crate::oracle::Oracle,
}

/// The guest's kernel on machine `M`.
pub struct Kernel<M> {
    machine: M,
    core: Core,
}

/// The kernel without its machine's type.
#[derive(Clone, Copy)]
pub(crate) struct Os<'a> {
    /// State.
    pub core: &'a Core,
    /// The machine beneath.
    pub machine: &'a dyn Machine,
}

impl<M> Kernel<M> {
    /// The kernel before its first cell, on the task each CPU starts on. About 76 KiB; `const`,
    /// so that a kernel can keep it in a `static`.
    #[must_use]
    pub const fn new(machine: M) -> Self {
        let core = Core {
            config: Cell::new(Config::LINUX),
            meter: Meter::new(),
            verdict: Verdict::new(),
            cpus: [const { Cpu::new() }; CPUS],
            tasks: [const { Task::new() }; TASKS],
            pool: Pool::new(),
            on_ipi: Cell::new(None),
            window: Cell::new(0),
            program: crate::program::Slot::new(),
            oracle: crate::oracle::Oracle::new(),
        };
        Kernel { machine, core }
    }

    /// The machine beneath.
    pub const fn machine(&self) -> &M {
        &self.machine
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn os(&self) -> Os<'_> {
        Os {
            core: &self.core,
            machine: &self.machine,
        }
    }

    /// The timer's interrupt. The machine calls it in interrupt context, upcalls masked.
    pub fn timer_interrupt(&self) {
        self.os().timer_interrupt();
    }

    /// An inter-processor interrupt, likewise.
    pub fn ipi_interrupt(&self) {
        self.os().ipi_interrupt();
    }

    /// After an interrupt's handler, before the interrupted task goes on: switches tasks if that
    /// is due and allowed.
    pub fn preempt_schedule_irq(&self) {
        self.os().preempt_schedule_irq();
    }

    /// Whether `task` has never run: a switch to it must begin [`Kernel::task_main`] on a new
    /// stack.
    #[must_use]
    pub fn is_fresh(&self, task: TaskId) -> bool {
        self.os().task(task).state.get() == TaskState::Fresh
    }

    /// The body of a fresh task's stack. Returns after the task's last switch away, for a machine
    /// that nests stacks; on one with real stacks it never returns.
    pub fn task_main(&self, task: TaskId) {
        self.os().task_main(task);
    }

    /// On an idle CPU, from the task it started on: runs `task` until the CPU is idle again. How
    /// the other CPU obeys [`Machine::run_on`].
    pub fn run_task(&self, task: TaskId) {
        self.os().run_task(task);
    }

    /// Chooses the policy by name for direct use of the API below; `false` if there is none.
    pub fn set_policy(&self, name: &str) -> bool {
        let found = crate::policies().iter().position(|p| p.name == name);
        let config = self.core.config.get();
        self.core.config.set(Config {
            policy: found.unwrap_or(config.policy),
            ..config
        });
        found.is_some()
    }

    /// `lazy_mmu_mode_enable`; `None` where the modelled kernel would BUG.
    pub fn lazy_mmu_mode_enable(&self) -> Option<Token> {
        self.os().lazy_mmu_mode_enable().ok()
    }

    /// `lazy_mmu_mode_disable`; whether the modelled kernel survives it.
    pub fn lazy_mmu_mode_disable(&self, token: Token) -> bool {
        self.os().lazy_mmu_mode_disable(token).is_ok()
    }

    /// `set_pte`: queued or at once, as the policy says.
    pub fn set_pte(&self, at: Maddr, pte: Pte) {
        self.os().set_pte(at, pte);
    }
}

impl<'a> Os<'a> {
    /// The cell's axes.
    pub(crate) fn config(self) -> Config {
        self.core.config.get()
    }

    /// The CPU this runs on.
    pub(crate) fn cpu(self) -> &'a Cpu {
        &self.core.cpus[self.machine.cpu() % CPUS]
    }

    /// A task.
    pub(crate) fn task(self, task: TaskId) -> &'a Task {
        &self.core.tasks[task.0 % TASKS]
    }

    /// Who runs on this CPU.
    pub(crate) fn current(self) -> TaskId {
        self.cpu().current.get()
    }

    /// Whether this cell runs with `mutant`.
    pub(crate) fn mutated(self, mutant: crate::mutants::Mutant) -> bool {
        crate::mutants::chosen(&self.core.config.get(), mutant)
    }
}

const _: () = assert!(size_of::<Core>() < 128 << 10);
