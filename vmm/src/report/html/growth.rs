//! Traps that grew from an earlier kernel to a later one, by the judgement of `xenlet compare`.

use super::subject::Line;
use crate::report::compare::Change;
use crate::report::compare::measured::{KernelRow, Reason};
use std::cmp::Ordering;

/// More traps on a later kernel than on an earlier one, beyond noise.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    /// The earlier kernel.
    pub(super) from: usize,
    /// The later one.
    pub(super) to: usize,
    /// The row of both.
    pub(super) row: KernelRow,
}

impl Growth {
    /// What grew between two kernels of a line.
    pub(super) fn between(line: &Line<'_>, from: usize, to: usize) -> Option<Growth> {
        let row = KernelRow::new(line.measured(from)?, line.measured(to)?, line.noise, 0.0);
        let traps = !matches!(row.reason, Some(Reason::Failed | Reason::MoreWrites));
        let worse = row.change == Change::Worse && traps;
        worse.then_some(Growth { from, to, row })
    }

    /// What grew up to a kernel, from any before it, the worst first.
    pub(super) fn up_to(line: &Line<'_>, to: usize) -> Option<Growth> {
        let earlier = (0..to).filter_map(|from| Growth::between(line, from, to));
        earlier.min_by(Growth::worst_first)
    }

    /// The worst of a line.
    pub(super) fn worst(line: &Line<'_>) -> Option<Growth> {
        let all = (0..line.rows.len()).filter_map(|to| Growth::up_to(line, to));
        all.min_by(Growth::worst_first)
    }

    /// As `xenlet compare` has it; of equals the nearer kernels, which say more.
    pub(super) fn worst_first(&self, other: &Growth) -> Ordering {
        let order = self.row.worst_first(&other.row);
        order
            .then(other.from.cmp(&self.from))
            .then(self.to.cmp(&other.to))
    }

    /// What the batches say about why.
    pub(super) fn cause(&self) -> String {
        let (a, b) = (&self.row.a, &self.row.b);
        match self.row.reason {
            Some(Reason::LostBatching) => {
                format!("Batching is lost: one update a trap, {} before. ", a.batch)
            }
            Some(Reason::SmallerBatches) => {
                format!(
                    "Batches are smaller: {} updates, {} before. ",
                    b.batch, a.batch
                )
            }
            _ if a.traps.median == 0 => String::new(),
            _ => format!("{:.1} times as many. ", self.row.factor()),
        }
    }
}
