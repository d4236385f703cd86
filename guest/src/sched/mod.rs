//! Tasks and the round-robin run queue. Comes in: forks, wakes, exits; goes out: context switches.

mod interrupt;
mod switch;

use crate::kernel::{CPUS, Os};
use crate::machine::TaskId;
use crate::mmu::lazy::TaskLazy;
use core::cell::Cell;

/// What a task runs.
pub(crate) type Body = fn(Os<'_>, usize);

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// The slot is free, or its task has exited.
    Free,
    /// Forked, never run.
    Fresh,
    /// Runs, or could.
    Ready,
    /// Waits for a child.
    Waiting,
}

/// A task.
pub(crate) struct Task {
    /// Where it is in its life.
    pub state: Cell<TaskState>,
    /// Its body and that body's argument.
    body: Cell<Option<(Body, usize)>>,
    /// Its lazy state.
    pub lazy: Cell<TaskLazy>,
    /// Depth of `preempt_disable`: locks held.
    pub preempt: Cell<u32>,
    /// Depth of `local_bh_disable`.
    pub bh: Cell<u32>,
    /// Its address space: a switch between two loads CR3; 0 borrows whatever is loaded.
    mm: Cell<u8>,
    /// Whether it has an LDT, which a switch to or from it loads.
    ldt: Cell<bool>,
    /// Who waits for its exit.
    waiter: Cell<Option<TaskId>>,
}

impl Task {
    /// A free slot.
    pub(crate) const fn new() -> Self {
        Task {
            state: Cell::new(TaskState::Free),
            body: Cell::new(None),
            lazy: Cell::new(TaskLazy {
                enable: 0,
                pause: 0,
                flag: false,
                hint: None,
                paused: false,
                warnings: 0,
            }),
            preempt: Cell::new(0),
            bh: Cell::new(0),
            mm: Cell::new(0),
            ldt: Cell::new(false),
            waiter: Cell::new(None),
        }
    }
}

impl Os<'_> {
    /// Forgets all tasks but those the CPUs started on, and every queue.
    pub(crate) fn reset_tasks(self) {
        for (i, task) in self.core.tasks.iter().enumerate() {
            let own = i < CPUS;
            task.state.set(if own {
                TaskState::Ready
            } else {
                TaskState::Free
            });
            task.lazy.set(TaskLazy::default());
            task.preempt.set(0);
            task.bh.set(0);
        }
        for (i, cpu) in self.core.cpus.iter().enumerate() {
            cpu.queue.borrow_mut().clear();
            cpu.lazy.take();
            cpu.current.set(TaskId(i));
            cpu.irq.set(0);
            cpu.need_resched.set(false);
            cpu.runnable.borrow_mut().clear();
        }
    }

    /// A new task, not yet runnable, in address space `mm`. `None` if the table is full.
    pub(crate) fn fork(self, mm: u8, body: Body, arg: usize) -> Option<TaskId> {
        let free = |i: &usize| self.core.tasks[*i].state.get() == TaskState::Free;
        let id = (CPUS..self.core.tasks.len()).find(free)?;
        let task = &self.core.tasks[id];
        task.state.set(TaskState::Fresh);
        task.body.set(Some((body, arg)));
        task.lazy
            .set(self.forked_lazy(self.task(self.current()).lazy.get()));
        task.preempt.set(0);
        task.bh.set(0);
        task.mm.set(mm);
        task.ldt.set(mm > 1);
        task.waiter.set(None);
        Some(TaskId(id))
    }

    /// What an IPI does from here on, to the cell's end.
    pub(crate) fn on_ipi(self, handler: fn(Os<'_>)) {
        self.core.on_ipi.set(Some(handler));
    }

    /// Makes a task runnable on this CPU.
    pub(crate) fn wake(self, task: TaskId) {
        // As long as the table of tasks, so it cannot be full.
        let _ = self.cpu().runnable.borrow_mut().try_push(task);
    }

    /// Runs a forked task to its end.
    pub(crate) fn join(self, task: TaskId) {
        let me = self.current();
        self.task(task).waiter.set(Some(me));
        self.task(me).state.set(TaskState::Waiting);
        self.wake(task);
        while self.task(me).state.get() == TaskState::Waiting {
            self.schedule();
        }
    }

    /// See [`crate::Kernel::task_main`].
    pub(crate) fn task_main(self, task: TaskId) {
        let me = self.task(task);
        me.state.set(TaskState::Ready);
        self.machine.irq_restore(false);
        if let Some((body, arg)) = me.body.take() {
            body(self, arg);
        }
        me.state.set(TaskState::Free);
        if let Some(waiter) = me.waiter.take() {
            self.task(waiter).state.set(TaskState::Ready);
            self.cpu().runnable.borrow_mut().insert(0, waiter);
        }
        self.machine.irq_save();
        let next = self.pick();
        self.context_switch(task, next);
    }

    /// See [`crate::Kernel::run_task`].
    pub(crate) fn run_task(self, task: TaskId) {
        self.wake(task);
        self.schedule();
    }

    /// Gives the CPU to whoever has waited longest.
    pub(crate) fn schedule(self) {
        let masked = self.machine.irq_save();
        let prev = self.current();
        self.cpu().need_resched.set(false);
        let idle = prev.0 == self.machine.cpu();
        if self.task(prev).state.get() == TaskState::Ready && !idle {
            self.wake(prev);
        }
        let next = self.pick();
        if next != prev {
            self.context_switch(prev, next);
        }
        self.machine.irq_restore(masked);
    }

    /// Makes a forked task one that has begun, for [`Os::become_task`].
    pub(crate) fn begin(self, task: TaskId) {
        self.task(task).state.set(TaskState::Ready);
    }

    /// The switch to a task that has begun, on this very stack: a machine whose stacks nest
    /// returns at once.
    pub(crate) fn become_task(self, next: TaskId) {
        let masked = self.machine.irq_save();
        if next != self.current() {
            self.context_switch(self.current(), next);
        }
        self.machine.irq_restore(masked);
    }

    /// Takes the current task off this CPU without making it runnable anywhere; returns once it
    /// runs again. `false` if the machine nests stacks and so came straight back.
    pub(crate) fn leave_cpu(self) -> bool {
        let masked = self.machine.irq_save();
        let me = self.current();
        let next = self.pick();
        self.context_switch(me, next);
        let moved = self.current() == me;
        if !moved {
            self.start_context_switch(next);
            self.end_context_switch(me);
            self.cpu().current.set(me);
            self.wake(next);
        }
        self.machine.irq_restore(masked);
        moved
    }

    /// The next task; the CPU's own if there is none.
    fn pick(self) -> TaskId {
        let mut runnable = self.cpu().runnable.borrow_mut();
        if runnable.is_empty() {
            TaskId(self.machine.cpu())
        } else {
            runnable.remove(0)
        }
    }
}
