//! Read-modify-writes of live entries. Real x86/Xen does them beside the queue, by a locked
//! instruction that is trapped and emulated; the axis `rmw` makes hypercalls of them.

use crate::config::Rmw;
use crate::kernel::Os;
use crate::mutants;
use hypercalls::lab::Cause;
use hypercalls::mmu::MmuUpdate;
use hypercalls::{Maddr, Pte, PteFlags};

impl Os<'_> {
    /// `ptep_get_and_clear`.
    pub(crate) fn get_and_clear(self, at: Maddr) -> Pte {
        if self.config().rmw == Rmw::Trapped {
            self.core.meter.emulate();
            return self.machine.xchg_pte(at, Pte::EMPTY);
        }
        let old = self.machine.read_pte(at);
        self.replace(at, Pte::EMPTY);
        old
    }

    /// `ptep_set_wrprotect`.
    pub(crate) fn set_wrprotect(self, at: Maddr) {
        self.modify(at, |old| old.without(PteFlags::RW));
    }

    /// `ptep_test_and_clear_young`: touches the entry only if it is young.
    pub(crate) fn test_and_clear_young(self, at: Maddr) -> bool {
        let young = self.machine.read_pte(at).has(PteFlags::ACCESSED);
        match self.mutated(mutants::YOUNG_KEPT) {
            _ if !young => {}
            true => self.modify(at, |old| old),
            false => self.modify(at, |old| old.without(PteFlags::ACCESSED)),
        }
        young
    }

    fn modify(self, at: Maddr, change: fn(Pte) -> Pte) {
        let mut old = self.machine.read_pte(at);
        if self.config().rmw != Rmw::Trapped {
            return self.replace(at, change(old));
        }
        self.core.meter.emulate();
        while !self.machine.cmpxchg_pte(at, old, change(old)) {
            self.core.meter.emulate();
            old = self.machine.read_pte(at);
        }
    }

    /// The write of a read-modify-write that is not trapped.
    fn replace(self, at: Maddr, pte: Pte) {
        if self.config().rmw == Rmw::Queued {
            return self.set_pte(at, pte);
        }
        self.update_now(
            Cause::Immediate,
            MmuUpdate {
                ptr: at.0,
                val: pte.0,
            },
        );
    }
}
