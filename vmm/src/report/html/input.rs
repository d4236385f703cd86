//! What a page is made of: reports, each with the name of its file.

use super::PageError;
use crate::report::compare;
use std::path::Path;

/// A report, and the name of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The file, as it was given.
    pub file: String,
    /// What it holds.
    pub report: compare::Input,
}

/// Reads a measurement or a lab report.
///
/// # Errors
/// If it cannot be read or is neither.
pub fn read(path: &Path) -> Result<Input, PageError> {
    Ok(Input {
        file: path.display().to_string(),
        report: compare::read(path)?,
    })
}
