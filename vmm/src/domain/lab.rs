//! Measured sections: what the guest traps for between LAB_BEGIN and LAB_END, cell by cell.
//!
//! Comes in: each hypercall trap of an open section with the cause the guest published, each
//! emulated write, the guest's own word on the cell. Goes out: a [`CellReport`] a cell. The guest
//! names causes and results; only the hypervisor counts.

use crate::stats::size_class;
use hypercalls::Vaddr;
use hypercalls::lab::{Cause, CellResult};
use std::collections::BTreeMap;
use thiserror::Error;

/// Cells kept; a guest that reports more has them refused.
pub const MAX_CELLS: usize = 4096;

/// What was counted in the sections of one cell, and what the guest said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellReport {
    /// The guest's word.
    pub result: CellResult,
    /// Hypercalls that carried page-table work or were made for it.
    pub traps: u64,
    /// Page-table updates they requested.
    pub updates: u64,
    /// Direct writes to live tables that were emulated.
    pub emulated_writes: u64,
    /// `traps` by hypercall.
    pub by_hypercall: BTreeMap<String, u64>,
    /// Hypercalls of other causes: scheduling, interrupt return, timers.
    pub other_hypercalls: BTreeMap<String, u64>,
    /// Updates a trap carried → traps.
    pub batch_sizes: BTreeMap<u64, u64>,
    /// `traps` by [`Cause`].
    pub flush_reasons: [u64; 8],
    /// Entries compared with the hypervisor's own walk.
    pub checked: u64,
    /// Of them, those that differed.
    pub check_mismatches: u64,
    /// The first that differed.
    pub first_mismatch: Option<String>,
}

/// A request that does not fit the state of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LabError {
    /// A section is open.
    #[error("a section is open already")]
    Open,
    /// None is.
    #[error("no section is open")]
    Closed,
    /// [`MAX_CELLS`] have been reported.
    #[error("more than {MAX_CELLS} cells")]
    Full,
}

/// The lab of a domain.
#[derive(Clone, Debug, Default)]
pub struct Lab {
    /// Where the guest's `LabPage` is mapped, once attached.
    pub page: Option<Vaddr>,
    /// Finished cells.
    pub cells: Vec<CellReport>,
    open: bool,
    current: CellReport,
}

impl Lab {
    /// Whether a section is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// LAB_BEGIN.
    ///
    /// # Errors
    /// If a section is open.
    pub fn begin(&mut self) -> Result<(), LabError> {
        if self.open {
            return Err(LabError::Open);
        }
        self.open = true;
        Ok(())
    }

    /// LAB_END.
    ///
    /// # Errors
    /// If none is open.
    pub fn end(&mut self) -> Result<(), LabError> {
        if !self.open {
            return Err(LabError::Closed);
        }
        self.open = false;
        Ok(())
    }

    /// A hypercall named `name` trapped for `cause`, with `updates` page-table updates in it.
    pub fn trap(&mut self, cause: Cause, name: &str, updates: u64) {
        if !self.open {
            return;
        }
        let cell = &mut self.current;
        if cause == Cause::Kernel {
            count(&mut cell.other_hypercalls, name);
            return;
        }
        count(&mut cell.by_hypercall, name);
        cell.traps += 1;
        cell.updates = cell.updates.saturating_add(updates);
        cell.flush_reasons[cause as usize] += 1;
        *cell.batch_sizes.entry(size_class(updates)).or_default() += 1;
    }

    /// A direct write to a live table was emulated.
    pub fn emulated_write(&mut self) {
        self.current.emulated_writes += u64::from(self.open);
    }

    /// An entry was compared; `mismatch` describes it if it differed.
    pub fn checked(&mut self, mismatch: Option<String>) {
        let cell = &mut self.current;
        cell.checked += 1;
        if let Some(text) = mismatch {
            cell.check_mismatches += 1;
            cell.first_mismatch.get_or_insert(text);
        }
    }

    /// LAB_RESULT: the cell is finished, an open section closed.
    ///
    /// # Errors
    /// If too many have been.
    pub fn finish(&mut self, result: CellResult) -> Result<(), LabError> {
        let mut cell = std::mem::take(&mut self.current);
        self.open = false;
        if self.cells.len() >= MAX_CELLS {
            return Err(LabError::Full);
        }
        cell.result = result;
        self.cells.push(cell);
        Ok(())
    }
}

/// Adds one without allocating for a name that is there.
fn count(map: &mut BTreeMap<String, u64>, name: &str) {
    match map.get_mut(name) {
        Some(n) => *n += 1,
        None => {
            map.insert(name.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_a_cell_add_up_and_the_next_starts_at_zero() {
        let mut lab = Lab::default();
        lab.trap(Cause::Disable, "mmu_update", 31);
        for _ in 0..2 {
            lab.begin().expect("closed before");
            assert_eq!(lab.begin(), Err(LabError::Open));
            lab.trap(Cause::Full, "mmu_update", 31);
            lab.trap(Cause::Kernel, "iret", 0);
            lab.emulated_write();
            lab.end().expect("open before");
        }
        assert_eq!(lab.end(), Err(LabError::Closed));
        lab.checked(Some("first".into()));
        lab.checked(Some("second".into()));
        lab.finish(CellResult::default()).expect("room");
        let cell = &lab.cells[0];
        assert_eq!((cell.traps, cell.updates, cell.emulated_writes), (2, 62, 2));
        assert_eq!(cell.batch_sizes[&31], 2);
        assert_eq!(cell.flush_reasons[Cause::Full as usize], 2);
        assert_eq!(cell.other_hypercalls["iret"], 2);
        assert_eq!(cell.first_mismatch.as_deref(), Some("first"));
        lab.finish(CellResult::default()).expect("room");
        assert_eq!(lab.cells[1], CellReport::default());
    }

    #[test]
    fn cells_are_bounded() {
        let mut lab = Lab::default();
        for _ in 0..MAX_CELLS {
            lab.finish(CellResult::default()).expect("room");
        }
        assert_eq!(lab.finish(CellResult::default()), Err(LabError::Full));
        assert_eq!(lab.cells.len(), MAX_CELLS);
    }
}
