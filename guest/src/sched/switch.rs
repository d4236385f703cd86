//! The context switch, step by step as x86/Xen does it: the outgoing task's queue, CR3 and LDT in
//! CPU-lazy mode, the incoming task's mode, the kernel stack; the machine's stacks come last.

use crate::kernel::Os;
use crate::machine::TaskId;
use crate::mutants;
use hypercalls::lab::Cause;
use hypercalls::mmu::{MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_SET_LDT, MmuextOp};
use hypercalls::trap::FLAT_DS;
use hypercalls::{DOMID_SELF, Nr};
use zerocopy::IntoBytes;

/// Where a kernel stack would be; the guest has no user mode that would enter on it.
const STACKS: u64 = 0xffff_c900_4000_0000;
/// Distance of two stacks.
const STACK_STRIDE: u64 = 0x4000;

impl Os<'_> {
    /// The switch, upcalls masked. Returns when something switches back, perhaps on another CPU.
    pub(super) fn context_switch(self, prev: TaskId, next: TaskId) {
        self.start_context_switch(prev);
        self.load_mm(prev, next);
        self.end_context_switch(next);
        let sp = STACKS + (next.0 as u64 + 1) * STACK_STRIDE;
        self.kernel_call(Nr::StackSwitch, [u64::from(FLAT_DS), sp, 0, 0, 0]);
        self.cpu().current.set(next);
        self.machine.switch_stacks(prev, next);
    }

    /// CR3 and LDT, queued in CPU-lazy mode and else each at once.
    fn load_mm(self, prev: TaskId, next: TaskId) {
        let (from, to) = (self.task(prev), self.task(next));
        if to.mm.get() != 0 && to.mm.get() != from.mm.get() {
            let op = |cmd, arg1| MmuextOp {
                cmd,
                arg1,
                ..MmuextOp::default()
            };
            let kernel = op(MMUEXT_NEW_BASEPTR, self.machine.root().0);
            self.cpu_lazy(&[kernel, op(MMUEXT_NEW_USER_BASEPTR, 0)]);
        }
        if from.ldt.get() || to.ldt.get() {
            self.cpu_lazy(&[MmuextOp {
                cmd: MMUEXT_SET_LDT,
                ..MmuextOp::default()
            }]);
        }
    }

    /// Operations of the switch itself: one entry of the batch, or one hypercall.
    fn cpu_lazy(self, ops: &[MmuextOp]) {
        if self.config().cpu_lazy && !self.keeps_queue() {
            // If the section's updates have to make room, that flush is theirs.
            return self.enqueue(self.switch_cause(), |q, config| {
                q.mmuext(config, ops, false)
            });
        }
        let args = [0, ops.len() as u64, 0, u64::from(DOMID_SELF), 0];
        let mut block = [0; 2 * size_of::<MmuextOp>()];
        let bytes = size_of_val(ops).min(block.len());
        block[..bytes].copy_from_slice(&ops.as_bytes()[..bytes]);
        self.core.meter.call(Cause::Kernel, 0);
        self.machine
            .call_with(Cause::Kernel, Nr::MmuextOp, args, 0, &mut block[..bytes]);
    }

    /// Why the switch flushes: for updates that the outgoing task left, or for itself.
    pub(crate) fn switch_cause(self) -> Cause {
        if self.cpu().queue.borrow().updates() > 0 {
            Cause::ContextSwitch
        } else {
            Cause::Kernel
        }
    }

    /// The mutants whose switch leaves this CPU's queue as it is, at both of its ends.
    pub(crate) fn keeps_queue(self) -> bool {
        self.mutated(mutants::NO_FLUSH_SWITCH) || self.mutated(mutants::WRONG_QUEUE)
    }

    /// A hypercall that is not the section's.
    pub(crate) fn kernel_call(self, nr: Nr, args: [u64; 5]) -> i64 {
        self.core.meter.call(Cause::Kernel, 0);
        self.machine.call(Cause::Kernel, nr, args)
    }
}
