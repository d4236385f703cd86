//! What rows that count all tasks vary by though the kernel is the same.

use crate::report::measure::{MeasureReport, OperationRow, Scope, Spread, Status};

/// The widest spread of any such row. What they vary by is one thing: the scheduler, whose switches
/// fall into a repetition or do not; the few repetitions of one row may all have met it alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::report) struct Noise {
    pub(super) traps: u64,
    pub(super) emulated_writes: u64,
}

impl Noise {
    /// Of all repetitions in these measurements.
    pub(in crate::report) fn of<'a>(reports: impl IntoIterator<Item = &'a MeasureReport>) -> Noise {
        let rows = reports.into_iter().flat_map(|report| &report.results);
        let noisy = rows.filter(|r| r.scope == Scope::All && r.status == Status::Measured);
        noisy.fold(Noise::default(), |noise, row| Noise {
            traps: noise.traps.max(width(row.traps)),
            emulated_writes: noise.emulated_writes.max(width(row.emulated_writes)),
        })
    }

    /// What of it concerns two rows of one operation: nothing, where they count one task.
    pub(super) fn between(self, a: &OperationRow, b: &OperationRow) -> Noise {
        match a.scope == Scope::All || b.scope == Scope::All {
            true => self,
            false => Noise::default(),
        }
    }
}

pub(super) const fn width(spread: Spread) -> u64 {
    spread.max.saturating_sub(spread.min)
}
