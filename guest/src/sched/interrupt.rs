//! Interrupts and what keeps them from preempting: contexts, locks, bottom halves.

use crate::kernel::Os;

impl Os<'_> {
    /// See [`crate::Kernel::timer_interrupt`].
    pub(crate) fn timer_interrupt(self) {
        if !self.cpu().runnable.borrow().is_empty() {
            self.cpu().need_resched.set(true);
        }
    }

    /// See [`crate::Kernel::ipi_interrupt`].
    pub(crate) fn ipi_interrupt(self) {
        let irq = &self.cpu().irq;
        irq.set(irq.get() + 1);
        if let Some(handler) = self.core.on_ipi.get() {
            handler(self);
        }
        irq.set(irq.get() - 1);
    }

    /// See [`crate::Kernel::preempt_schedule_irq`].
    pub(crate) fn preempt_schedule_irq(self) {
        let cpu = self.cpu();
        let task = self.task(self.current());
        let locked = cpu.irq.get() + task.preempt.get() + task.bh.get() > 0;
        if cpu.need_resched.get() && !locked {
            self.schedule();
        }
    }

    /// `in_interrupt()`: bottom halves switched off count.
    pub(crate) fn in_interrupt(self) -> bool {
        self.cpu().irq.get() > 0 || self.task(self.current()).bh.get() > 0
    }

    /// `spin_lock`: no preemption from here on.
    pub(crate) fn preempt_disable(self) {
        let depth = &self.task(self.current()).preempt;
        depth.set(depth.get() + 1);
    }

    /// `spin_unlock`: a switch that became due happens now.
    pub(crate) fn preempt_enable(self) {
        let depth = &self.task(self.current()).preempt;
        depth.set(depth.get().saturating_sub(1));
        self.preempt_schedule_irq();
    }
}
