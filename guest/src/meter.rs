//! The guest's own counts, to be held against the hypervisor's. Comes in: every hypercall and
//! every direct write; goes out: the sums of the cell's measured sections.

use core::cell::Cell;
use hypercalls::lab::Cause;

/// Counts of one cell.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Whether a measured section is open.
    pub open: Cell<bool>,
    /// Hypercalls in sections, a word a cause.
    pub calls: [Cell<u64>; 8],
    /// Page-table updates in them.
    pub updates: Cell<u64>,
    /// Direct writes to live tables in sections.
    pub emulated: Cell<u64>,
    /// Requests the hypervisor refused, in sections or not.
    pub failures: Cell<u64>,
    /// TLB flushes that were issued before a write they were queued after.
    pub early_flushes: Cell<u64>,
    /// Writes inside the range that the section was opened for.
    pub hinted: Cell<u64>,
    /// How often the buffer was full, in sections or not.
    pub full: Cell<u64>,
}

/// Adds `n` to a counter.
pub(crate) fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get().wrapping_add(n));
}

impl Meter {
    /// Nothing counted.
    pub(crate) const fn new() -> Self {
        Meter {
            open: Cell::new(false),
            calls: [const { Cell::new(0) }; 8],
            updates: Cell::new(0),
            emulated: Cell::new(0),
            failures: Cell::new(0),
            early_flushes: Cell::new(0),
            hinted: Cell::new(0),
            full: Cell::new(0),
        }
    }

    /// Forgets the last cell.
    pub(crate) fn reset(&self) {
        self.open.set(false);
        self.calls.iter().for_each(|c| c.set(0));
        for c in [
            &self.updates,
            &self.emulated,
            &self.failures,
            &self.early_flushes,
            &self.hinted,
            &self.full,
        ] {
            c.set(0);
        }
    }

    /// A hypercall of `updates` updates.
    pub(crate) fn call(&self, cause: Cause, updates: u64) {
        if cause == Cause::Full {
            add(&self.full, 1);
        }
        if self.open.get() {
            add(&self.calls[cause as usize], 1);
            add(
                &self.updates,
                if cause == Cause::Kernel { 0 } else { updates },
            );
        }
    }

    /// A direct write to a live table.
    pub(crate) fn emulate(&self) {
        if self.open.get() {
            add(&self.emulated, 1);
        }
    }
}
