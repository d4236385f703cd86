//! What changed between two reports, worst first.
//!
//! Comes in: two lab reports. Goes out: a [`Comparison`], whose rows are joined by workload and
//! policy; or by workload alone where each report holds one policy and they differ, which is how
//! one policy is held against another. Rows that are joined must have been measured alike: the same
//! PTEs, batch and vCPUs. What the second report lacks or skips is a loss, as is what fails in it.

mod cause;
mod input;
pub mod measured;
mod row;
mod text;

pub use cause::Cause;
pub use input::{Input, InputError, read};
pub use row::{Change, Row, Side};
pub use text::{csv, ktap, table};

use super::{LabReport, ResultRow, Version};
use crate::exit::Exit;
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The comparison's schema.
pub const COMPARE_SCHEMA: &str = "xenlet.compare/1";

/// Reports that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompareError {
    /// Two rows of one name.
    #[error("{report}: two rows for {workload}/{policy}")]
    Duplicate {
        /// Which report: its name as given.
        report: String,
        /// The rows' workload.
        workload: String,
        /// The rows' policy.
        policy: String,
    },
    /// The counts of two rows do not mean the same.
    #[error("{workload}: {a}, {b}: these counts do not compare")]
    Axis {
        /// The rows' workload.
        workload: String,
        /// What the first report has there: its name, the axis, the value.
        a: String,
        /// What the second has.
        b: String,
    },
    /// No row of one is in the other.
    #[error("{a} and {b} have no row in common")]
    NothingInCommon {
        /// The first report's name.
        a: String,
        /// The second's.
        b: String,
    },
}

/// What changed between two reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// [`COMPARE_SCHEMA`].
    pub schema: &'static str,
    /// The program that compared.
    pub xenlet: Version,
    /// The first report's name.
    pub a: String,
    /// The second's.
    pub b: String,
    /// How much growth is allowed.
    pub tolerance_pct: f64,
    /// What it comes from, a line a cause; empty where the counts do not tell.
    pub causes: Vec<String>,
    /// Rows of both, worst first.
    pub rows: Vec<Row>,
    /// Rows of the first alone: each is a loss.
    pub only_a: Vec<String>,
    /// Rows of the second alone.
    pub only_b: Vec<String>,
}

impl Comparison {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.worse() {
            0 => Exit::Done,
            _ => Exit::CheckFailed,
        }
    }

    /// How many rows are worse, those that the second report lacks among them.
    #[must_use]
    pub fn worse(&self) -> usize {
        let worse = self.rows.iter().filter(|r| r.change == Change::Worse);
        worse.count() + self.only_a.len()
    }
}

type Key<'a> = (&'a str, &'a str);
type Rows<'a> = BTreeMap<Key<'a>, &'a ResultRow>;

/// Compares two reports, each with the name it is to be called by.
///
/// # Errors
/// If a row's name is not unique, no row is in both, or one was measured differently.
pub fn compare(
    (a_name, a): (&str, &LabReport),
    (b_name, b): (&str, &LabReport),
    tolerance_pct: f64,
) -> Result<Comparison, CompareError> {
    let across = matches!((only_policy(a), only_policy(b)), (Some(a), Some(b)) if a != b);
    let in_a = index(a_name, a, across)?;
    let in_b = index(b_name, b, across)?;
    let both = a.results.iter().filter_map(|row| {
        let other = in_b.get(&key(row, across))?;
        let alike = measured_alike((a_name, row), (b_name, other));
        Some(alike.map(|()| Row::new(row, other, tolerance_pct)))
    });
    let mut rows: Vec<Row> = both.collect::<Result<_, _>>()?;
    if rows.is_empty() {
        let (a, b) = (a_name.to_owned(), b_name.to_owned());
        return Err(CompareError::NothingInCommon { a, b });
    }
    rows.sort_by(Row::worst_first);
    let only_a = only(a, &in_b, across);
    let mut causes = cause::lines(&rows);
    causes.extend(cause::missing(&only_a, b_name));
    Ok(Comparison {
        schema: COMPARE_SCHEMA,
        xenlet: Version::this(),
        a: a_name.to_owned(),
        b: b_name.to_owned(),
        tolerance_pct,
        causes,
        rows,
        only_a,
        only_b: only(b, &in_a, across),
    })
}

/// Whether two rows differ in nothing that the counts depend on. The backend is none of that.
fn measured_alike(
    (a_name, a): (&str, &ResultRow),
    (b_name, b): (&str, &ResultRow),
) -> Result<(), CompareError> {
    let axes = |r: &ResultRow| {
        [
            ("ptes", r.ptes.to_string()),
            ("batch", r.batch.to_string()),
            ("cpus", r.cpus.to_string()),
        ]
    };
    let mut both = axes(a).into_iter().zip(axes(b));
    let Some(((axis, in_a), (_, in_b))) = both.find(|(a, b)| a != b) else {
        return Ok(());
    };
    Err(CompareError::Axis {
        workload: a.workload.clone(),
        a: format!("{a_name} has {axis} {in_a}"),
        b: format!("{b_name} has {axis} {in_b}"),
    })
}

fn only_policy(report: &LabReport) -> Option<&str> {
    let first = report.results.first()?.policy.as_str();
    let all = report.results.iter().all(|r| r.policy == first);
    all.then_some(first)
}

fn key(row: &ResultRow, across: bool) -> Key<'_> {
    let policy = if across { "" } else { row.policy.as_str() };
    (row.workload.as_str(), policy)
}

fn index<'a>(name: &str, report: &'a LabReport, across: bool) -> Result<Rows<'a>, CompareError> {
    let mut rows = BTreeMap::new();
    for row in &report.results {
        if rows.insert(key(row, across), row).is_some() {
            return Err(CompareError::Duplicate {
                report: name.to_owned(),
                workload: row.workload.clone(),
                policy: row.policy.clone(),
            });
        }
    }
    Ok(rows)
}

fn only(report: &LabReport, other: &Rows<'_>, across: bool) -> Vec<String> {
    let rows = report.results.iter();
    rows.filter(|row| !other.contains_key(&key(row, across)))
        .map(|row| format!("{}/{}", row.workload, row.policy))
        .collect()
}

#[cfg(test)]
mod tests;
