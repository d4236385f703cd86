//! What rows vary by though the kernel is the same.

use crate::report::measure::{MeasureReport, OperationRow, Scope, Spread, Status};

/// The widest spread of any row that is disturbed by the same: the few repetitions of one row may
/// all have been disturbed alike, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::report) struct Noise {
    pub(super) traps: u64,
    pub(super) emulated_writes: u64,
}

impl Noise {
    /// Of an operation's rows in these measurements, whatever their size and depth; where all tasks
    /// count, of all such rows.
    pub(in crate::report) fn of<'a>(
        reports: impl IntoIterator<Item = &'a MeasureReport>,
        (operation, scope): (&str, Scope),
    ) -> Noise {
        let alike = |r: &&OperationRow| match scope {
            Scope::Task => r.operation == operation,
            Scope::All => r.scope == scope,
        };
        let rows = reports.into_iter().flat_map(|report| &report.results);
        let measured = rows.filter(|r| r.status == Status::Measured);
        measured.filter(alike).fold(Noise::default(), Noise::and)
    }

    fn and(self, row: &OperationRow) -> Noise {
        Noise {
            traps: self.traps.max(width(row.traps)),
            emulated_writes: self.emulated_writes.max(width(row.emulated_writes)),
        }
    }
}

const fn width(spread: Spread) -> u64 {
    spread.max.saturating_sub(spread.min)
}
