//! The free frames, in three parts that never change their use: tables, the oracle's model, data.
//! So no frame turns from a writable page into a table and back between cells but those of the
//! first part.

use crate::kernel::Os;
use core::cell::Cell;
use hypercalls::{Mfn, Pfn};

/// Entries a region has at most.
pub(crate) const PTES_MAX: usize = 8192;
/// Entries of a table.
pub(crate) const PER_TABLE: usize = 512;
/// Regions there are at most.
pub(crate) const REGIONS: usize = 4;
/// Frames of tables: an L3, an L2 and the L1s of each region, two of them at full size at once.
const TABLES: u64 = (REGIONS * (2 + PTES_MAX / PER_TABLE)) as u64;
/// Frames of the model: as many words as entries.
const MODEL_PER_REGION: u64 = (PTES_MAX / PER_TABLE) as u64;
/// Where data begins, in frames from the first free one.
const DATA: u64 = TABLES + REGIONS as u64 * MODEL_PER_REGION;

/// Which frames are in use.
pub(crate) struct Pool {
    tables: Cell<u64>,
    filled: Cell<u64>,
}

impl Pool {
    /// Nothing in use.
    pub(crate) const fn new() -> Self {
        Pool {
            tables: Cell::new(0),
            filled: Cell::new(0),
        }
    }

    /// Takes all table frames back.
    pub(crate) fn reset(&self) {
        self.tables.set(0);
    }
}

impl Os<'_> {
    fn frame(self, n: u64) -> Mfn {
        let (first, _) = self.machine.free_frames();
        self.machine.mfn(Pfn(first.0 + n))
    }

    /// The table frame taken as number `n`.
    pub(crate) fn table(self, n: u64) -> Mfn {
        self.frame(n)
    }

    /// How many table frames have been taken.
    pub(crate) fn tables_taken(self) -> u64 {
        self.core.pool.tables.get()
    }

    /// A zeroed frame for a table, writable still; `None` if there are none left.
    pub(crate) fn table_frame(self) -> Option<Mfn> {
        let (_, count) = self.machine.free_frames();
        let n = self.core.pool.tables.get();
        if n >= TABLES.min(count) {
            return None;
        }
        self.core.pool.tables.set(n + 1);
        let mfn = self.frame(n);
        self.machine.fill(mfn, 0);
        Some(mfn)
    }

    /// The frame that holds the model of `region`'s table `table`.
    pub(crate) fn model_frame(self, region: usize, table: usize) -> Mfn {
        self.frame(TABLES + region as u64 * MODEL_PER_REGION + table as u64)
    }

    /// The data frame of entry `i`.
    pub(crate) fn data_frame(self, i: usize) -> Mfn {
        self.frame(DATA + i as u64)
    }

    /// Makes sure that the first `n` data frames are there, each filled with its tag.
    pub(crate) fn fill_data(self, n: usize) -> bool {
        let (_, count) = self.machine.free_frames();
        if DATA + n as u64 > count {
            return false;
        }
        let filled = &self.core.pool.filled;
        for i in filled.get()..n as u64 {
            self.machine.fill(
                self.data_frame(i as usize),
                tag(self.data_frame(i as usize)),
            );
        }
        filled.set(filled.get().max(n as u64));
        true
    }
}

/// The word that data frame `mfn` is filled with.
pub(crate) fn tag(mfn: Mfn) -> u64 {
    0x7461_6700_0000_0000 | mfn.0
}
