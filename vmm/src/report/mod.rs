//! Results: the lab's report and everything that is made of it.
//!
//! Comes in: what the hypervisor counted and the guest found, a cell at a time. Goes out: one
//! [`LabReport`], and tables, JSON, CSV and KTAP of it; [`compare`] takes two of them,
//! [`html`] any number.

pub mod assemble;
pub mod bench;
pub mod boot;

pub mod compare;
pub mod csv;
pub mod doctor;
#[cfg(test)]
mod fixture;
mod grid;
pub mod html;
pub mod ktap;
pub mod measure;
mod origin;
mod row;
pub mod schema;
pub mod table;
mod verdict;

pub use crate::domain::CellReport;
pub use origin::{Host, Version};
pub use row::{Checks, FinalState, FlushReasons, Verdict};
pub use schema::{LabReport, ResultRow};

use serde::Serialize;

/// The form a result is printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// A header line and a line a row.
    Csv,
    /// The kernel's test protocol.
    Ktap,
    /// A table for a mail or a pull request.
    Markdown,
}

/// Any report as one JSON document, with a newline at its end.
///
/// # Panics
/// Never: reports are plain data with text keys.
#[must_use]
pub fn json<T: Serialize>(report: &T) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("plain data with text keys");
    text.push('\n');
    text
}
