//! What changed between two measurements of kernels, worst first.
//!
//! Comes in: two measurement reports of the same runner. Goes out: a [`KernelComparison`]: the rows
//! that changed beyond noise, each with its cause and the call site, and a line a cause. Rows that
//! did not change are counted only: two measurements of one kernel have nothing to say.

mod noise;
mod row;
#[cfg(test)]
mod tests;
mod text;

pub(in crate::report) use noise::Noise;
pub use row::{KernelRow, Reason, Side};
pub use text::{csv, ktap, markdown, table};

use super::Change;
use crate::exit::Exit;
use crate::report::Version;
use crate::report::measure::{MeasureReport, OperationRow, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The comparison's schema.
pub const KERNELS_SCHEMA: &str = "xenlet.compare-measure/1";

/// Measurements that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelsError {
    /// One has no rows to rely on.
    #[error("{0}: no runner ran in that guest, there is nothing to compare")]
    NoRunner(String),
    /// Different programs performed the operations.
    #[error("{a} is by runner {by_a}, {b} by {by_b}: their operations are not the same")]
    Runners {
        /// The first report's name.
        a: String,
        /// Its runner.
        by_a: String,
        /// The second's name.
        b: String,
        /// Its runner.
        by_b: String,
    },
    /// Different numbers of vCPUs.
    #[error("{a} is of {cpus_a} vCPUs, {b} of {cpus_b}: flushes are not the same")]
    Cpus {
        /// The first report's name.
        a: String,
        /// Its vCPUs.
        cpus_a: u32,
        /// The second's name.
        b: String,
        /// Its vCPUs.
        cpus_b: u32,
    },
    /// Two rows of one operation.
    #[error("{report}: two rows for {row}")]
    Duplicate {
        /// The report's name.
        report: String,
        /// The row's.
        row: String,
    },
    /// No row of one is in the other.
    #[error("{a} and {b} have no measured row in common")]
    NothingInCommon {
        /// The first report's name.
        a: String,
        /// The second's.
        b: String,
    },
}

/// One of the two kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Of {
    /// The report's name.
    pub report: String,
    /// The kernel's release.
    pub release: String,
}

/// What changed between two kernels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelComparison {
    /// [`KERNELS_SCHEMA`].
    pub schema: &'static str,
    /// The program that compared.
    pub xenlet: Version,
    /// The first.
    pub a: Of,
    /// The second.
    pub b: Of,
    /// How much growth is allowed beyond noise.
    pub tolerance_pct: f64,
    /// A line a cause, the gravest first.
    pub causes: Vec<String>,
    /// Rows that changed, worst first.
    pub rows: Vec<KernelRow>,
    /// Rows that did not.
    pub same: usize,
    /// Measured in the first alone.
    pub only_a: Vec<String>,
    /// Measured in the second alone.
    pub only_b: Vec<String>,
}

impl KernelComparison {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.rows.iter().any(|r| r.change == Change::Worse) {
            true => Exit::CheckFailed,
            false => Exit::Done,
        }
    }
}

type Key<'a> = (&'a str, u64, u64);
type Rows<'a> = BTreeMap<Key<'a>, &'a OperationRow>;

/// Compares two measurements, each with the name it is to be called by.
///
/// # Errors
/// If they are not of the same operations.
pub fn compare(
    (a_name, a): (&str, &MeasureReport),
    (b_name, b): (&str, &MeasureReport),
    tolerance_pct: f64,
) -> Result<KernelComparison, KernelsError> {
    comparable((a_name, a), (b_name, b))?;
    let (in_a, in_b) = (index(a_name, a)?, index(b_name, b)?);
    let both = a
        .results
        .iter()
        .filter_map(|row| Some((row, *in_b.get(&key(row))?)));
    let compared = both.filter(|(a, _)| a.status == Status::Measured);
    let all: Vec<KernelRow> = compared
        .filter(|(_, b)| b.status != Status::Skipped)
        .map(|(row, other)| {
            let noise = Noise::of([a, b], (&row.operation, row.scope));
            KernelRow::new(row, other, noise, tolerance_pct)
        })
        .collect();
    if all.is_empty() {
        return Err(KernelsError::NothingInCommon {
            a: a_name.to_owned(),
            b: b_name.to_owned(),
        });
    }
    let total = all.len();
    let mut rows = all;
    rows.retain(|row| row.change != Change::Same);
    rows.sort_by(KernelRow::worst_first);
    let of = |name: &str, report: &MeasureReport| Of {
        report: name.to_owned(),
        release: report.kernel.release.clone(),
    };
    Ok(KernelComparison {
        schema: KERNELS_SCHEMA,
        xenlet: Version::this(),
        a: of(a_name, a),
        b: of(b_name, b),
        tolerance_pct,
        causes: row::lines(&rows),
        same: total - rows.len(),
        rows,
        only_a: only(a, &in_b),
        only_b: only(b, &in_a),
    })
}

/// Refuses measurements whose rows are not of the same operations.
pub(in crate::report) fn comparable(
    (a_name, a): (&str, &MeasureReport),
    (b_name, b): (&str, &MeasureReport),
) -> Result<(), KernelsError> {
    let none = |name: &str| KernelsError::NoRunner(name.to_owned());
    let by_a = a.runner.as_ref().ok_or_else(|| none(a_name))?;
    let by_b = b.runner.as_ref().ok_or_else(|| none(b_name))?;
    let (a_name, b_name) = (a_name.to_owned(), b_name.to_owned());
    if by_a != by_b {
        return Err(KernelsError::Runners {
            a: a_name,
            by_a: format!("{} {}", by_a.name, by_a.version),
            b: b_name,
            by_b: format!("{} {}", by_b.name, by_b.version),
        });
    }
    match (a.guest.cpus, b.guest.cpus) {
        (cpus_a, cpus_b) if cpus_a != cpus_b => Err(KernelsError::Cpus {
            a: a_name,
            cpus_a,
            b: b_name,
            cpus_b,
        }),
        _ => Ok(()),
    }
}

fn key(row: &OperationRow) -> Key<'_> {
    (row.operation.as_str(), row.pages, row.depth)
}

fn index<'a>(name: &str, report: &'a MeasureReport) -> Result<Rows<'a>, KernelsError> {
    let mut rows = BTreeMap::new();
    for row in &report.results {
        if rows.insert(key(row), row).is_some() {
            return Err(KernelsError::Duplicate {
                report: name.to_owned(),
                row: row.label(),
            });
        }
    }
    Ok(rows)
}

/// Measured here, and not there: there it is skipped, or not there at all.
fn only(report: &MeasureReport, other: &Rows<'_>) -> Vec<String> {
    let measured = report
        .results
        .iter()
        .filter(|r| r.status == Status::Measured);
    let there = |row: &&OperationRow| {
        let row = other.get(&key(row));
        row.is_some_and(|row| row.status != Status::Skipped)
    };
    measured
        .filter(|row| !there(row))
        .map(OperationRow::label)
        .collect()
}
