//! One operation on two kernels: whether it got worse beyond noise, why, and from where.

use super::noise::Noise;
use crate::report::compare::Change;
use crate::report::measure::{OperationRow, Site, Spread, Status};
use serde::Serialize;
use std::cmp::Ordering;

/// Sites named in a cause's line.
const SITES: usize = 4;

/// Why a row got worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The operation failed on the second kernel.
    Failed,
    /// Updates that went several to a trap go one to a trap.
    LostBatching,
    /// They still go several to a trap, but fewer.
    SmallerBatches,
    /// There are more updates.
    MoreUpdates,
    /// More direct writes trap.
    MoreWrites,
    /// More traps that carry no updates: pins, flushes.
    MoreTraps,
}

impl Reason {
    /// The table's words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Failed => "failed",
            Reason::LostBatching => "batching lost",
            Reason::SmallerBatches => "smaller batches",
            Reason::MoreUpdates => "more updates",
            Reason::MoreWrites => "more direct writes",
            Reason::MoreTraps => "more traps without updates",
        }
    }

    const ALL: [Reason; 6] = [
        Reason::Failed,
        Reason::LostBatching,
        Reason::SmallerBatches,
        Reason::MoreUpdates,
        Reason::MoreWrites,
        Reason::MoreTraps,
    ];
}

/// One kernel's side of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What became of the operation.
    pub status: Status,
    /// Page-table hypercalls.
    pub traps: Spread,
    /// Updates they carried.
    pub updates: Spread,
    /// Direct writes emulated.
    pub emulated_writes: Spread,
    /// Of the traps, those that carried updates.
    pub traps_with_updates: u64,
    /// The batch size that carried most updates; of several, the largest.
    pub batch: u64,
    /// The most one trap carried.
    pub largest_batch: u64,
    /// Where most traps with updates come from.
    pub site: Option<Site>,
}

impl Side {
    fn of(row: &OperationRow) -> Side {
        let sizes = row.batch_sizes.iter();
        let traps = row.batch_sizes.values();
        Side {
            status: row.status,
            traps: row.traps,
            updates: row.updates,
            emulated_writes: row.emulated_writes,
            traps_with_updates: traps.fold(0, |sum, n| sum.saturating_add(*n)),
            batch: sizes
                .max_by_key(|&(size, traps)| size.saturating_mul(*traps))
                .map_or(0, |(&size, _)| size),
            largest_batch: row.largest_batch(),
            site: row.sites.iter().find(|s| s.updates > 0).cloned(),
        }
    }
}

/// One operation of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelRow {
    /// The operation.
    pub operation: String,
    /// On how many pages.
    pub pages: u64,
    /// At which fork depth.
    pub depth: u64,
    /// Its name with both.
    pub label: String,
    /// How it changed.
    pub change: Change,
    /// Why, if it got worse.
    pub reason: Option<Reason>,
    /// On the first kernel.
    pub a: Side,
    /// On the second.
    pub b: Side,
}

impl KernelRow {
    pub(in crate::report) fn new(
        a: &OperationRow,
        b: &OperationRow,
        noise: Noise,
        tolerance_pct: f64,
    ) -> KernelRow {
        let bound = Bound {
            noise,
            tolerance_pct,
        };
        let (label, operation) = (a.label(), a.operation.clone());
        let (pages, depth) = (a.pages, a.depth);
        let (a, b) = (Side::of(a), Side::of(b));
        let change = bound.change(&a, &b);
        let reason = (change == Change::Worse).then(|| bound.reason(&a, &b));
        KernelRow {
            operation,
            pages,
            depth,
            label,
            change,
            reason,
            a,
            b,
        }
    }

    /// Traps of the second to traps of the first.
    #[must_use]
    pub fn factor(&self) -> f64 {
        match (self.a.traps.median, self.b.traps.median) {
            (0, 0) => 1.0,
            (a, b) => b as f64 / a as f64,
        }
    }

    /// Where the growth comes from.
    #[must_use]
    pub fn from(&self) -> &str {
        self.b
            .site
            .as_ref()
            .map_or("", |site| site.function.as_str())
    }

    /// Worse before better, the gravest reason first, then by how much the traps grew.
    pub(in crate::report) fn worst_first(&self, other: &KernelRow) -> Ordering {
        let growth = |r: &KernelRow| i128::from(r.b.traps.median) - i128::from(r.a.traps.median);
        let reason = |r: &KernelRow| r.reason.map_or(usize::MAX, |reason| reason as usize);
        self.change
            .cmp(&other.change)
            .then(reason(self).cmp(&reason(other)))
            .then(other.factor().total_cmp(&self.factor()))
            .then(growth(other).cmp(&growth(self)))
            .then(self.depth.cmp(&other.depth))
    }
}

/// What is no change.
struct Bound {
    noise: Noise,
    tolerance_pct: f64,
}

impl Bound {
    fn more_traps(&self, a: &Side, b: &Side) -> bool {
        self.grew(a.traps, b.traps, self.noise.traps)
    }

    fn more_writes(&self, a: &Side, b: &Side) -> bool {
        self.grew(
            a.emulated_writes,
            b.emulated_writes,
            self.noise.emulated_writes,
        )
    }

    /// Every value of `b` is beyond every value of `a`, by more than such rows vary in themselves.
    fn grew(&self, a: Spread, b: Spread, noise: u64) -> bool {
        let allowed = a.max as f64 * (1.0 + self.tolerance_pct / 100.0) + noise as f64;
        b.min as f64 > allowed
    }

    fn worse(&self, a: &Side, b: &Side) -> bool {
        if b.status == Status::Failed {
            return a.status == Status::Measured;
        }
        a.status == Status::Measured && (self.more_traps(a, b) || self.more_writes(a, b))
    }

    fn change(&self, a: &Side, b: &Side) -> Change {
        match (self.worse(a, b), self.worse(b, a)) {
            (true, _) => Change::Worse,
            (false, true) => Change::Better,
            (false, false) => Change::Same,
        }
    }

    fn reason(&self, a: &Side, b: &Side) -> Reason {
        if b.status == Status::Failed {
            return Reason::Failed;
        }
        if !self.more_traps(a, b) {
            return Reason::MoreWrites;
        }
        let added = b.traps_with_updates.saturating_sub(a.traps_with_updates);
        let updates = b.updates.median.saturating_sub(a.updates.median);
        match added {
            0 => Reason::MoreTraps,
            added if updates >= added => Reason::MoreUpdates,
            _ if nearly_one_a_trap(b) => Reason::LostBatching,
            _ => Reason::SmallerBatches,
        }
    }
}

/// Whether its traps carried less than five updates in four of them.
fn nearly_one_a_trap(side: &Side) -> bool {
    u128::from(side.updates.median) * 4 < u128::from(side.traps_with_updates) * 5
}

/// One line a reason, the gravest first.
pub(super) fn lines(rows: &[KernelRow]) -> Vec<String> {
    let line = |reason| {
        let hit: Vec<&KernelRow> = rows.iter().filter(|r| r.reason == Some(reason)).collect();
        (!hit.is_empty()).then(|| line(reason, &hit))
    };
    Reason::ALL.into_iter().filter_map(line).collect()
}

fn line(reason: Reason, hit: &[&KernelRow]) -> String {
    let first = hit[0];
    let (a, b) = (first.a.largest_batch, first.b.batch);
    let said = match reason {
        Reason::LostBatching => {
            format!("lazy batching inactive: batch size {b} where {a} was")
        }
        Reason::SmallerBatches => {
            format!("smaller batches: mostly {b} updates a trap where up to {a} were")
        }
        other => other.name().to_owned(),
    };
    let sum = |side: fn(&KernelRow) -> u64| hit.iter().map(|r| side(r)).sum::<u64>();
    let counts = match reason {
        Reason::Failed => format!("{} rows", hit.len()),
        Reason::MoreWrites => format!(
            "{} rows, {} writes became {}",
            hit.len(),
            sum(|r| r.a.emulated_writes.median),
            sum(|r| r.b.emulated_writes.median)
        ),
        _ => format!(
            "{} rows, {} traps became {}",
            hit.len(),
            sum(|r| r.a.traps.median),
            sum(|r| r.b.traps.median)
        ),
    };
    let mut sites: Vec<&str> = Vec::new();
    for site in hit.iter().map(|r| r.from()).filter(|s| !s.is_empty()) {
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    let from = match sites.len() {
        0 => String::new(),
        n => {
            let more = if n > SITES { ", ..." } else { "" };
            format!("; from {}{more}", sites[..n.min(SITES)].join(", "))
        }
    };
    format!("{said}: {counts}{from}")
}
