//! One row of two reports: better, the same or worse, and how bad beside others.

use super::Cause;
use crate::report::{FinalState, ResultRow, Verdict};
use serde::Serialize;
use std::cmp::Ordering;

/// How a row changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// More traps or direct writes than the tolerance allows, a worse verdict, or a skip.
    Worse,
    /// Within the tolerance.
    Same,
    /// Fewer.
    Better,
}

impl Change {
    /// The report's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Change::Worse => "worse",
            Change::Same => "same",
            Change::Better => "better",
        }
    }
}

/// One side of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The policy.
    pub policy: String,
    /// Hypercalls in the section.
    pub traps: u64,
    /// Direct writes in the section.
    pub emulated_writes: u64,
    /// The most updates one trap carried.
    pub largest_batch: u64,
    /// Whether the tables were right.
    pub final_state: FinalState,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the counts are those of the whole workload.
    #[serde(skip)]
    counted: bool,
}

impl Side {
    fn of(row: &ResultRow) -> Side {
        Side {
            policy: row.policy.clone(),
            traps: row.traps,
            emulated_writes: row.emulated_writes,
            largest_batch: row.batch_sizes.keys().copied().max().unwrap_or(0),
            final_state: row.final_state,
            verdict: row.verdict,
            counted: row.counted(),
        }
    }

    /// Whether it is skipped, and `before` was not: whatever is wrong there would not be seen.
    pub(super) fn lost(&self, before: &Side) -> bool {
        self.verdict == Verdict::Skip && before.verdict != Verdict::Skip
    }

    /// The verdict as a degree: what must not grow.
    fn severity(&self) -> u8 {
        let wrong = u8::from(self.final_state == FinalState::Wrong);
        let verdict = match self.verdict {
            Verdict::Pass | Verdict::Skip => 0,
            Verdict::Bug => 1,
            Verdict::Fail | Verdict::Error => 2,
            Verdict::Crash => 3,
        };
        verdict * 2 + wrong
    }

    fn is_bad(&self) -> bool {
        self.verdict.is_bad()
    }
}

/// A row of both reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The workload.
    pub workload: String,
    /// How it changed.
    pub change: Change,
    /// The first report's.
    pub a: Side,
    /// The second's.
    pub b: Side,
}

impl Row {
    pub(super) fn new(a: &ResultRow, b: &ResultRow, tolerance_pct: f64) -> Row {
        let (workload, a, b) = (a.workload.clone(), Side::of(a), Side::of(b));
        let change = change(&a, &b, tolerance_pct);
        Row {
            workload,
            change,
            a,
            b,
        }
    }

    /// Whether both sides have counts.
    #[must_use]
    pub fn counted(&self) -> bool {
        self.a.counted && self.b.counted
    }

    /// Traps of the second to traps of the first; 1 where they cannot be compared.
    #[must_use]
    pub fn factor(&self) -> f64 {
        match (self.a.traps, self.b.traps) {
            (0, 0) => 1.0,
            (a, b) if self.counted() => b as f64 / a as f64,
            _ => 1.0,
        }
    }

    /// What the loss comes from, if the row tells.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        Cause::of(self)
    }

    /// Worst first: newly failing rows, then lost batching where both sides are sound, then by
    /// how much the traps grew, then by how many. What is skipped now has no counts: last.
    pub(super) fn worst_first(&self, other: &Row) -> Ordering {
        let fails = |r: &Row| r.b.is_bad() && !r.a.is_bad();
        let sound = |r: &Row| r.a.verdict == Verdict::Pass && r.b.verdict == Verdict::Pass;
        let lost = |r: &Row| sound(r) && r.cause() == Some(Cause::LostBatching);
        let growth = |r: &Row| r.b.traps.cast_signed() - r.a.traps.cast_signed();
        let writes =
            |r: &Row| r.b.emulated_writes.cast_signed() - r.a.emulated_writes.cast_signed();
        self.change
            .cmp(&other.change)
            .then(fails(other).cmp(&fails(self)))
            .then(lost(other).cmp(&lost(self)))
            .then(other.factor().total_cmp(&self.factor()))
            .then(growth(other).cmp(&growth(self)))
            .then(writes(other).cmp(&writes(self)))
    }
}

/// Counts are compared only where both sides have them; a worse verdict is worse in any case, and
/// so is none where there was one.
fn change(a: &Side, b: &Side, tolerance_pct: f64) -> Change {
    let counted = a.counted && b.counted;
    let grew = |a: u64, b: u64| counted && b as f64 > a as f64 * (1.0 + tolerance_pct / 100.0);
    let worse = |a: &Side, b: &Side| {
        b.lost(a)
            || b.severity() > a.severity()
            || grew(a.traps, b.traps)
            || grew(a.emulated_writes, b.emulated_writes)
    };
    match (worse(a, b), worse(b, a)) {
        (true, _) => Change::Worse,
        (false, true) => Change::Better,
        (false, false) => Change::Same,
    }
}
