//! The whole of a region against the model: entry by entry, by the hypervisor's own walk, and by
//! using its addresses, where what must fault has to fault.

use crate::frames::tag;
use crate::kernel::Os;
use crate::machine::Access;
use crate::meter::add;
use crate::region::Region;
use hypercalls::lab::{Cause, ExpectedPte, LAB_CHECK};
use hypercalls::mmu::{MMUEXT_TLB_FLUSH_ALL, MmuextOp};
use hypercalls::{DOMID_SELF, Errno, Nr, PteFlags};
use zerocopy::IntoBytes;

/// Entries one LAB_CHECK of ours names: a block that fits any stack.
const CHECK: usize = 64;
/// Uses of an address that are expected to fault, at most: each costs two traps.
const FAULTS_MAX: usize = 32;
/// Uses that are expected to work, at most.
const READS_MAX: usize = 512;

impl Os<'_> {
    /// Everything, by every means, after a TLB flush.
    pub(crate) fn check_all(self) {
        self.flush_tlb_kernel();
        for region in &self.core.oracle.regions {
            if let Some(r) = region.get() {
                (0..r.count).for_each(|i| self.compare(&r, i));
                self.check_by_walk(&r);
                self.check_by_use(&r);
            }
        }
    }

    /// A TLB flush that belongs to no section.
    pub(crate) fn flush_tlb_kernel(self) {
        let op = MmuextOp {
            cmd: MMUEXT_TLB_FLUSH_ALL,
            ..MmuextOp::default()
        };
        let mut block = [0; size_of::<MmuextOp>()];
        block.copy_from_slice(op.as_bytes());
        let args = [0, 1, 0, u64::from(DOMID_SELF), 0];
        self.machine
            .call_with(Cause::Kernel, Nr::MmuextOp, args, 0, &mut block);
    }

    /// The hypervisor's own walk.
    fn check_by_walk(self, r: &Region) {
        for from in (0..r.count).step_by(CHECK) {
            let count = CHECK.min(r.count - from);
            let mut block = [ExpectedPte::default(); CHECK];
            for (i, expected) in block[..count].iter_mut().enumerate() {
                let pte = self.model(r, from + i);
                *expected = ExpectedPte {
                    va: r.va(from + i).0,
                    pte: pte.0,
                };
            }
            let args = [u64::from(LAB_CHECK), 0, count as u64, 0, 0];
            let bytes = block[..count].as_mut_bytes();
            let rc = self
                .machine
                .call_with(Cause::Kernel, Nr::Lab, args, 1, bytes);
            if rc == Errno::ENOSYS.to_ret() {
                // Another hypervisor, which walks nothing for us: the other means remain.
                return;
            }
            if rc != 0 {
                self.violated(format_args!(
                    "the hypervisor's walk of {} entries {from}.. says {rc}",
                    r.place.name()
                ));
            }
        }
    }

    /// The addresses themselves.
    fn check_by_use(self, r: &Region) {
        let stride = r.count.div_ceil(READS_MAX).max(1);
        let rare = r.count.div_ceil(FAULTS_MAX).max(1);
        for i in 0..r.count {
            let pte = self.model(r, i);
            if pte.is_present() && i % stride == 0 {
                self.use_page(r, i, Access::Read, true);
            }
            if i % rare == 0 {
                let access = if pte.is_present() {
                    Access::Write(tag(pte.mfn()))
                } else {
                    Access::Read
                };
                self.use_page(r, i, access, pte.has(PteFlags::PRESENT | PteFlags::RW));
            }
        }
    }

    /// Uses entry `i`'s address, which must work or fault as `works` says.
    pub(crate) fn use_page(self, r: &Region, i: usize, access: Access, works: bool) {
        let oracle = &self.core.oracle;
        let got = self.machine.touch(r.va(i), access);
        let word = tag(self.model(r, i).mfn());
        add(&oracle.touched, 1);
        let right = match got {
            Ok(value) => works && value == word,
            Err(_) => !works,
        };
        if !right {
            add(&oracle.mistouched, 1);
            self.core.verdict.detail(format_args!(
                "{} page {i}: {access:?} gave {got:x?}, model says works={works}",
                r.place.name()
            ));
        }
    }
}
