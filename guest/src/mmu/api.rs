//! The lazy-MMU API as its callers see it: each call lets the policy in force work on the task's
//! and the CPU's state.

use super::lazy::{Context, Policy, PolicyInfo, TABLE, TaskLazy};
use super::{Bug, Hint, Token};
use crate::kernel::Os;
use crate::machine::TaskId;
use crate::mutants;

impl Os<'_> {
    /// The policy in force.
    pub(crate) fn policy(self) -> &'static PolicyInfo {
        &TABLE[self.config().policy % TABLE.len()]
    }

    /// Lets the policy work on `task`'s state and this CPU's.
    fn lazy<R>(self, task: TaskId, f: impl FnOnce(&dyn Policy, &Context<'_>) -> R) -> R {
        let config = self.config();
        let cx = Context {
            task: &self.task(task).lazy,
            cpu: &self.cpu().lazy,
            in_interrupt: self.in_interrupt(),
            config,
            flush: &|cause| self.flush(cause),
            window: &|| self.preemption_window(),
        };
        f(self.policy().policy, &cx)
    }

    /// `lazy_mmu_mode_enable`.
    pub(crate) fn lazy_mmu_mode_enable(self) -> Result<Token, Bug> {
        self.lazy(self.current(), |p, cx| p.enable(cx))
    }

    /// `lazy_mmu_mode_enable_with_ptes`.
    pub(crate) fn lazy_mmu_mode_enable_with_ptes(self, hint: Hint) -> Result<Token, Bug> {
        self.lazy(self.current(), |p, cx| p.enable_with_ptes(cx, hint))
    }

    /// `lazy_mmu_mode_disable`.
    pub(crate) fn lazy_mmu_mode_disable(self, token: Token) -> Result<(), Bug> {
        self.lazy(self.current(), |p, cx| p.disable(cx, token))
    }

    /// `lazy_mmu_mode_pause`.
    pub(crate) fn lazy_mmu_mode_pause(self) -> Result<(), Bug> {
        self.lazy(self.current(), |p, cx| p.pause(cx))
    }

    /// `lazy_mmu_mode_resume`.
    pub(crate) fn lazy_mmu_mode_resume(self) -> Result<(), Bug> {
        self.lazy(self.current(), |p, cx| p.resume(cx))
    }

    /// `arch_flush_lazy_mmu_mode`.
    pub(crate) fn arch_flush_lazy_mmu_mode(self) -> Result<(), Bug> {
        self.lazy(self.current(), |p, cx| p.arch_flush(cx))
    }

    /// Whether a write is queued here and now.
    pub(crate) fn queues(self) -> bool {
        self.lazy(self.current(), |p, cx| p.queues(cx))
    }

    /// The lazy state of a child of a task in state `parent`.
    pub(crate) fn forked_lazy(self, parent: TaskLazy) -> TaskLazy {
        let config = self.config();
        if self.mutated(mutants::FORK_UNDERFLOW) {
            return TaskLazy {
                pause: parent.pause.wrapping_sub(1),
                ..parent
            };
        }
        self.policy().policy.fork(parent, config.hooks)
    }

    /// `arch_start_context_switch`. A BUG is noted and the switch goes on.
    pub(crate) fn start_context_switch(self, prev: TaskId) {
        let done = self.lazy(prev, |p, cx| p.switch_out(cx));
        self.core.verdict.note(done);
    }

    /// `arch_end_context_switch`: issues the switch's own batch, restores `next`'s mode.
    pub(crate) fn end_context_switch(self, next: TaskId) {
        if !self.keeps_queue() {
            self.flush(self.switch_cause());
        }
        let done = self.lazy(next, |p, cx| p.switch_in(cx));
        self.core.verdict.note(done);
    }

    /// A timer interrupt, if the workload wants one in this window between count and hook.
    fn preemption_window(self) {
        let window = &self.core.window;
        window.set(window.get().saturating_sub(1));
        if window.get() == 0 && self.core.oracle.window_armed.take() {
            self.machine.timer_now();
        }
    }
}
