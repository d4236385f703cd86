//! What a change comes from, where the rows say so by themselves: one line a cause.

use super::{Change, Row};
use serde::Serialize;

/// A cause that a row gives away: its verdicts, or its batch sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was measured, and is skipped now: nobody knows any more.
    Skipped,
    /// Updates that went several to a trap go one to a trap.
    LostBatching,
    /// They still go several to a trap, but fewer.
    SmallerBatches,
}

impl Cause {
    /// The cause of a row's loss, if it tells.
    pub(super) fn of(row: &Row) -> Option<Cause> {
        if row.b.lost(&row.a) {
            return Some(Cause::Skipped);
        }
        let (a, b) = (row.a.largest_batch, row.b.largest_batch);
        match row.change {
            Change::Worse if a > 1 && b == 1 => Some(Cause::LostBatching),
            Change::Worse if a > b && b > 1 => Some(Cause::SmallerBatches),
            _ => None,
        }
    }

    /// The table's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Skipped => "skipped now",
            Cause::LostBatching => "batching lost",
            Cause::SmallerBatches => "smaller batches",
        }
    }
}

/// One line a cause, the gravest first.
pub(super) fn lines(rows: &[Row]) -> Vec<String> {
    [Cause::LostBatching, Cause::SmallerBatches, Cause::Skipped]
        .into_iter()
        .filter_map(|cause| line(cause, rows))
        .collect()
}

fn line(cause: Cause, rows: &[Row]) -> Option<String> {
    let hit: Vec<&Row> = rows.iter().filter(|r| r.cause() == Some(cause)).collect();
    let first = hit.first()?;
    let (a, b) = (first.a.largest_batch, first.b.largest_batch);
    let traps = |side: fn(&Row) -> u64| hit.iter().map(|r| side(r)).sum::<u64>();
    let said = match cause {
        Cause::Skipped => return Some(skipped(&hit)),
        Cause::LostBatching => "lazy batching inactive: one update a trap",
        Cause::SmallerBatches => "smaller batches: at most that many updates a trap",
    };
    Some(format!(
        "{said}, {b} where {a} was: {} rows, {} traps became {}; {} went from {} to {}",
        hit.len(),
        traps(|r| r.a.traps),
        traps(|r| r.b.traps),
        first.workload,
        first.a.traps,
        first.b.traps,
    ))
}

fn skipped(hit: &[&Row]) -> String {
    let names: Vec<&str> = hit.iter().map(|r| r.workload.as_str()).collect();
    format!(
        "no longer measured: {} rows: {}",
        hit.len(),
        names.join(" ")
    )
}

/// What the second report does not have at all; empty if it has everything.
pub(super) fn missing(only_a: &[String], b: &str) -> Option<String> {
    let rows = only_a.len();
    (rows > 0).then(|| format!("not in {b}: {rows} rows: {}", only_a.join(" ")))
}
