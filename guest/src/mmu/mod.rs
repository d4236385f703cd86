//! Page-table writes. `set_pte` is the one place where a write is queued or made at once;
//! the policy says which, the queue does it. Read-modify-writes go beside the queue, as on real
//! x86/Xen, unless the cell's axis says otherwise.

mod api;
mod issue;
pub(crate) mod lazy;
pub(crate) mod queue;
mod rmw;

use crate::kernel::Os;
use crate::mutants;
use hypercalls::lab::Cause;
use hypercalls::mmu::{
    MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_PRESERVE_AD, MMUEXT_INVLPG_ALL, MMUEXT_TLB_FLUSH_ALL,
    MmuUpdate, MmuextOp,
};
use hypercalls::{DOMID_SELF, Maddr, Nr, Pte, Vaddr};
pub use lazy::{Bug, Hint, Token};
use zerocopy::IntoBytes;

impl Os<'_> {
    /// `set_pte`: queued, or a direct `mmu_update` that leaves the queue alone.
    pub(crate) fn set_pte(self, at: Maddr, pte: Pte) {
        let update = MmuUpdate {
            ptr: at.0 | MMU_NORMAL_PT_UPDATE,
            val: pte.0,
        };
        if self.queues() || self.irq_queues() {
            self.enqueue(Cause::Full, |q, config| q.update(config, update));
        } else {
            self.update_now(Cause::Immediate, update);
        }
    }

    fn irq_queues(self) -> bool {
        self.mutated(mutants::IRQ_QUEUES) && self.cpu().irq.get() > 0
    }

    /// `ptep_modify_prot_commit`: keeps A and D as they are by then. Goes through the buffer even
    /// outside lazy mode.
    pub(crate) fn modify_prot_commit(self, at: Maddr, pte: Pte) {
        let command = match self.mutated(mutants::COMMIT_DROPS_AD) {
            true => MMU_NORMAL_PT_UPDATE,
            false => MMU_PT_UPDATE_PRESERVE_AD,
        };
        let update = MmuUpdate {
            ptr: at.0 | command,
            val: pte.0,
        };
        self.batch(|q, config| q.update(config, update));
    }

    /// One `mmu_update` of one request, past the queue; its result.
    pub(crate) fn update_now(self, cause: Cause, update: MmuUpdate) -> i64 {
        let mut block = [0; size_of::<MmuUpdate>()];
        block.copy_from_slice(update.as_bytes());
        let args = [0, 1, 0, u64::from(DOMID_SELF), 0];
        self.core.meter.call(cause, 1);
        let rc = self
            .machine
            .call_with(cause, Nr::MmuUpdate, args, 0, &mut block);
        self.failed(u64::from(rc < 0), rc);
        rc
    }

    /// `flush_tlb_multi`, of one page or all: queued in a section, and never merged. Linux passes
    /// a mask of CPUs; this names all of them and leaves the mask's room.
    pub(crate) fn flush_tlb_multi(self, page: Option<Vaddr>) {
        let (cmd, arg1) = match page {
            Some(va) => (MMUEXT_INVLPG_ALL, va.0),
            None => (MMUEXT_TLB_FLUSH_ALL, 0),
        };
        let op = MmuextOp {
            cmd,
            arg1,
            ..MmuextOp::default()
        };
        self.batch(|q, config| q.mmuext(config, &[op], true));
    }

    /// `update_va_mapping` through the buffer.
    #[cfg(test)]
    pub(crate) fn update_va_mapping(self, va: Vaddr, pte: Pte) {
        self.batch(|q, config| q.va_mapping(config, va, pte, 0));
    }
}
