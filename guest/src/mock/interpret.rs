//! What the mock understands of page tables: an update, a walk, one rule of Xen's.

use super::Mock;
use crate::machine::{Access, Fault};
use hypercalls::lab::{CHECK_IGNORES, ExpectedPte};
use hypercalls::mmu::{MMU_COMMAND_MASK, MMU_PT_UPDATE_PRESERVE_AD, MmuUpdate};
use hypercalls::trap::{PFEC_PRESENT, PFEC_WRITE};
use hypercalls::{Errno, Level, Maddr, Mfn, Pte, PteFlags, Vaddr};
use zerocopy::FromBytes;

/// The bits the CPU itself sets in an entry.
const AD: u64 = PteFlags::ACCESSED.union(PteFlags::DIRTY).bits();

impl Mock {
    /// Applies the requests up to the first that is refused.
    pub(super) fn mmu_update(&self, requests: &[u8]) -> i64 {
        for bytes in requests.chunks_exact(16) {
            let request = MmuUpdate::read_from_bytes(bytes).expect("16 bytes");
            let new = Pte(request.val);
            let table = self.protected.borrow().contains(&new.mfn().0);
            let leaf = new.has(PteFlags::PRESENT | PteFlags::RW) && !new.has(PteFlags::USER);
            if leaf && table {
                return Errno::EBUSY.to_ret();
            }
            let word = self.word(Maddr(request.ptr & !MMU_COMMAND_MASK));
            let keeps = request.ptr & MMU_COMMAND_MASK == MMU_PT_UPDATE_PRESERVE_AD;
            word.set(new.0 | if keeps { word.get() & AD } else { 0 });
        }
        0
    }

    pub(super) fn va_mapping(&self, va: u64, pte: u64) -> i64 {
        match self.walk(Vaddr(va)) {
            Some(at) => {
                self.word(at).set(pte);
                0
            }
            None => Errno::EINVAL.to_ret(),
        }
    }

    /// The machine address of `va`'s L1 entry.
    fn walk(&self, va: Vaddr) -> Option<Maddr> {
        let mut table = Mfn(super::ROOT);
        for level in [Level::L4, Level::L3, Level::L2] {
            let entry = Pte(self.word(table.entry(va.slot(level))).get());
            table = entry.is_present().then(|| entry.mfn())?;
        }
        Some(table.entry(va.slot(Level::L1)))
    }

    pub(super) fn check(&self, block: &[u8]) -> i64 {
        let differs = |bytes: &&[u8]| {
            let expected = ExpectedPte::read_from_bytes(bytes).expect("16 bytes");
            let found = self
                .walk(Vaddr(expected.va))
                .map_or(0, |at| self.word(at).get());
            (found ^ expected.pte) & !CHECK_IGNORES != 0
        };
        block.chunks_exact(16).filter(differs).count() as i64
    }

    pub(super) fn translate(&self, va: Vaddr, access: Access) -> Result<u64, Fault> {
        let pte = self
            .walk(va)
            .map_or(Pte::EMPTY, |at| Pte(self.word(at).get()));
        if !pte.is_present() {
            return Err(Fault(0));
        }
        let word = self.word(pte.mfn().entry(va.offset() as usize / 8));
        let used = match access {
            Access::Read => PteFlags::ACCESSED,
            Access::Write(_) if !pte.has(PteFlags::RW) => {
                return Err(Fault(PFEC_PRESENT | PFEC_WRITE));
            }
            Access::Write(value) => {
                word.set(value);
                PteFlags::ACCESSED | PteFlags::DIRTY
            }
        };
        if let Some(at) = self.walk(va) {
            self.word(at).set(pte.with(used).0);
        }
        Ok(word.get())
    }
}
