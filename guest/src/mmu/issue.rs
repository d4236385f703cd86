//! Into this CPU's buffer and out of it, upcalls masked; every flush is counted with its cause.

use super::queue::{Issued, Queue};
use crate::config::Config;
use crate::kernel::Os;
use crate::meter::add;
use crate::mutants;
use hypercalls::lab::Cause;

impl Os<'_> {
    /// `xen_mc_batch` … `xen_mc_issue`: through the buffer, issued at once outside lazy mode.
    pub(super) fn batch(self, put: impl Fn(&mut Queue, &Config) -> bool) {
        let masked = self.machine.irq_save();
        self.enqueue(Cause::Full, put);
        if !self.queues() {
            self.flush(Cause::Immediate);
        }
        self.machine.irq_restore(masked);
    }

    /// Puts a request in this CPU's buffer, which is flushed first if it is full.
    pub(crate) fn enqueue(self, full: Cause, put: impl Fn(&mut Queue, &Config) -> bool) {
        let config = self.config();
        let masked = self.machine.irq_save();
        let mut queue = self.cpu().queue.borrow_mut();
        if !put(&mut queue, &config) {
            let issued = queue.flush(self.machine, &config, full);
            self.count(full, issued);
            // An empty buffer takes any request of this library's.
            put(&mut queue, &config);
        }
        drop(queue);
        self.machine.irq_restore(masked);
    }

    /// `xen_mc_flush`.
    pub(crate) fn flush(self, cause: Cause) {
        if self.forgets(cause) {
            return;
        }
        let masked = self.machine.irq_save();
        let wrong = cause == Cause::ContextSwitch && self.mutated(mutants::WRONG_QUEUE);
        let cpu = (self.machine.cpu() + usize::from(wrong)) % self.core.cpus.len();
        let mut queue = self.core.cpus[cpu].queue.borrow_mut();
        let issued = queue.flush(self.machine, &self.config(), cause);
        drop(queue);
        self.count(cause, issued);
        self.machine.irq_restore(masked);
    }

    /// The mutants that forget one of the five points where a flush is promised.
    fn forgets(self, cause: Cause) -> bool {
        let mutant = match cause {
            Cause::Disable => mutants::NO_FLUSH_DISABLE,
            Cause::NestedDisable => mutants::NO_FLUSH_NESTED,
            Cause::ArchFlush => mutants::NO_FLUSH_ARCH,
            Cause::Pause => mutants::NO_FLUSH_PAUSE,
            Cause::ContextSwitch => mutants::NO_FLUSH_SWITCH,
            Cause::Kernel | Cause::Full | Cause::Immediate => return false,
        };
        self.mutated(mutant)
    }

    fn count(self, cause: Cause, issued: Issued) {
        if issued.trapped {
            self.core.meter.call(cause, issued.updates);
        }
        add(&self.core.meter.early_flushes, issued.early_flushes);
        self.failed(issued.failed, issued.first);
    }

    /// As Linux: counted and logged, nothing retried.
    pub(super) fn failed(self, requests: u64, first: i64) {
        let failures = &self.core.meter.failures;
        if requests > 0 && failures.get() == 0 {
            let log =
                format_args!("xen_mc_flush: {requests} call(s) failed, the first with {first}");
            self.machine.log(log);
        }
        add(failures, requests);
    }
}
