//! Reads a report back. A file that is none says where it goes wrong.

use crate::report::LabReport;
use crate::report::schema::LAB_SCHEMA;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file that is no lab report.
#[derive(Debug, Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("cannot read report {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not JSON, is cut, or lacks something.
    #[error("{}:{}:{}: not a lab report", path.display(), source.line(), source.column())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// Another schema.
    #[error("{}: schema is {found:?}, not {LAB_SCHEMA:?}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

#[derive(Deserialize)]
struct Header {
    schema: String,
}

/// Reads a lab report's file.
///
/// # Errors
/// If it cannot be read or is none.
pub fn read(path: &Path) -> Result<LabReport, InputError> {
    let text = fs::read(path).map_err(|source| InputError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &[u8]) -> Result<LabReport, InputError> {
    let malformed = |source| InputError::Malformed {
        path: path.to_owned(),
        source,
    };
    let header: Header = serde_json::from_slice(text).map_err(malformed)?;
    if header.schema != LAB_SCHEMA {
        return Err(InputError::Schema {
            path: path.to_owned(),
            found: header.schema,
        });
    }
    serde_json::from_slice(text).map_err(malformed)
}
