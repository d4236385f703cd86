//! What the tables should hold. The model is the program's order: every write changes it at once.
//! Wherever the API promises visibility the tables are held against it; at the end everything is,
//! by reading entries, by the hypervisor's own walk, and by using the addresses. The model's words
//! lie in guest frames of their own.

use crate::frames::{PER_TABLE, REGIONS, tag};
use crate::kernel::Os;
use crate::machine::Access;
use crate::meter::add;
use crate::region::{Place, Region};
use core::cell::Cell;
use hypercalls::lab::{CHECK_IGNORES, Cause, ExpectedPte, LAB_CHECK};
use hypercalls::mmu::{MMUEXT_TLB_FLUSH_ALL, MmuextOp};
use hypercalls::{DOMID_SELF, Maddr, Nr, Pte, PteFlags};
use zerocopy::IntoBytes;

/// Entries one LAB_CHECK of ours names: a block that fits any stack.
const CHECK: usize = 64;
/// Uses of an address that are expected to fault, at most: each costs two traps.
const FAULTS_MAX: usize = 32;
/// Uses that are expected to work, at most.
const READS_MAX: usize = 512;

/// The oracle's state in one cell.
pub(crate) struct Oracle {
    /// Regions that are linked.
    pub regions: [Cell<Option<Region>>; REGIONS],
    /// Entries written and not promised yet: from, to.
    dirty: [Cell<(usize, usize)>; REGIONS],
    /// Entries compared.
    pub compared: Cell<u64>,
    /// Of them, those that differed.
    pub differing: Cell<u64>,
    /// Addresses used.
    pub touched: Cell<u64>,
    /// Of them, those that did something else than the model says.
    pub mistouched: Cell<u64>,
    /// Whether a timer interrupt is wanted in the next window.
    pub window_armed: Cell<bool>,
    /// A word that tasks of one workload hand each other.
    pub baton: Cell<usize>,
}

impl Oracle {
    /// Before the first cell.
    pub(crate) const fn new() -> Self {
        Oracle {
            regions: [const { Cell::new(None) }; REGIONS],
            dirty: [const { Cell::new((0, 0)) }; REGIONS],
            compared: Cell::new(0),
            differing: Cell::new(0),
            touched: Cell::new(0),
            mistouched: Cell::new(0),
            window_armed: Cell::new(false),
            baton: Cell::new(0),
        }
    }

    /// Forgets the last cell.
    pub(crate) fn reset(&self) {
        self.dirty.iter().for_each(|d| d.set((0, 0)));
        for c in [
            &self.compared,
            &self.differing,
            &self.touched,
            &self.mistouched,
        ] {
            c.set(0);
        }
        self.window_armed.set(false);
        self.baton.set(0);
    }
}

/// Whether the table's entry is what the model says, but for bits that CPU and hypervisor set.
fn same(model: Pte, found: Pte) -> bool {
    if model.is_present() || found.is_present() {
        return (model.0 ^ found.0) & !CHECK_IGNORES == 0;
    }
    model == found
}

impl Os<'_> {
    fn model_at(self, r: &Region, i: usize) -> Maddr {
        self.model_frame(r.place as usize, i / PER_TABLE)
            .entry(i % PER_TABLE)
    }

    /// The model's entry.
    pub(crate) fn model(self, r: &Region, i: usize) -> Pte {
        self.machine.read_pte(self.model_at(r, i))
    }

    /// Changes the model.
    pub(crate) fn set_model(self, r: &Region, i: usize, pte: Pte) {
        self.machine.store_pte(self.model_at(r, i), pte);
    }

    /// Notes that entry `i` may still be queued.
    pub(crate) fn mark_dirty(self, r: &Region, i: usize) {
        let dirty = &self.core.oracle.dirty[r.place as usize];
        let (from, to) = dirty.get();
        let widened = if from == to {
            (i, i + 1)
        } else {
            (from.min(i), to.max(i + 1))
        };
        dirty.set(widened);
    }

    /// A point at which the API promises that all writes so far are visible.
    pub(crate) fn promised(self) {
        for place in Place::ALL {
            let dirty = self.core.oracle.dirty[place as usize].take();
            if let Some(r) = self.core.oracle.regions[place as usize].get() {
                (dirty.0..dirty.1).for_each(|i| self.compare(&r, i));
            }
        }
    }

    /// Compares one entry.
    pub(crate) fn compare(self, r: &Region, i: usize) {
        let (model, found) = (self.model(r, i), self.machine.read_pte(r.at(self, i)));
        let oracle = &self.core.oracle;
        add(&oracle.compared, 1);
        if !same(model, found) {
            add(&oracle.differing, 1);
            self.core.verdict.detail(format_args!(
                "{} entry {i} is {:#x}, not {:#x}",
                r.place.name(),
                found.0,
                model.0
            ));
        }
    }

    /// Where the modelled kernel may serve stale data: if it does, that is the cell's BUG, and
    /// the model takes over what is there. Whether it does.
    pub(crate) fn hazard(self, r: &Region, i: usize, name: &'static str) -> bool {
        let found = self.machine.read_pte(r.at(self, i));
        let stale = !same(self.model(r, i), found);
        add(&self.core.oracle.compared, 1);
        if stale {
            self.core.verdict.hazard(name);
            self.set_model(r, i, found);
        }
        stale
    }

    /// Something the model excludes, other than an entry's value.
    pub(crate) fn violated(self, what: core::fmt::Arguments<'_>) {
        add(&self.core.oracle.differing, 1);
        self.core.verdict.detail(what);
    }

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
