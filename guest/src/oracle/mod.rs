//! What the tables should hold. The model is the program's order: every write changes it at once.
//! Wherever the API promises visibility the tables are held against it; at the end everything is,
//! by reading entries, by the hypervisor's own walk, and by using the addresses. The model's words
//! lie in guest frames of their own.

mod check;

use crate::frames::{PER_TABLE, REGIONS};
use crate::kernel::Os;
use crate::meter::add;
use crate::region::{Place, Region};
use core::cell::Cell;
use hypercalls::lab::CHECK_IGNORES;
use hypercalls::{Maddr, Pte, PteFlags};

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

    /// Compares what no queue may hold: all entries but those written since the last promise.
    pub(crate) fn check_promised(self) {
        let oracle = &self.core.oracle;
        for (region, dirty) in oracle.regions.iter().zip(&oracle.dirty) {
            let (from, to) = dirty.get();
            if let Some(r) = region.get() {
                let settled = (0..r.count).filter(|i| !(from..to).contains(i));
                settled.for_each(|i| self.compare(&r, i));
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

    /// Compares one of the bits that entries are otherwise compared without: the CPU sets it too, but
    /// here the workload knows whether it has.
    pub(crate) fn compare_bit(self, r: &Region, i: usize, bit: PteFlags, set: bool) {
        let found = self.machine.read_pte(r.at(self, i));
        let oracle = &self.core.oracle;
        add(&oracle.compared, 1);
        if found.has(bit) != set {
            add(&oracle.differing, 1);
            self.core.verdict.detail(format_args!(
                "{} entry {i} is {:#x}: {bit:?} must be {set}",
                r.place.name(),
                found.0,
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
}
