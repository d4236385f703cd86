//! Reads a report back, whichever of the two kinds it is. A file that is none says where it goes wrong.

use crate::report::LabReport;
use crate::report::measure::{MEASURE_SCHEMA, MeasureReport};
use crate::report::schema::LAB_SCHEMA;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A larger file is no report of ours: the whole lab is not a twentieth of it.
const LARGEST: u64 = 16 << 20;

/// A report that can be compared with another of its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `xenlet lab`'s.
    Lab(LabReport),
    /// `xenlet measure`'s.
    Measure(Box<MeasureReport>),
}

impl Input {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Input::Lab(_) => "a lab report",
            Input::Measure(_) => "a measurement",
        }
    }
}

/// A file that is neither.
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
    /// It is larger than any report.
    #[error("{}: larger than any report", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not JSON, is cut, or lacks something.
    #[error("{}:{}:{}: not a report", path.display(), source.line(), source.column())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// Another schema.
    #[error("{}: schema is {found:?}, not {LAB_SCHEMA:?} or {MEASURE_SCHEMA:?}", path.display())]
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

/// Reads a report's file.
///
/// # Errors
/// If it cannot be read or is none.
pub fn read(path: &Path) -> Result<Input, InputError> {
    let owned = || path.to_owned();
    match bytes(path) {
        Ok(text) if text.len() as u64 > LARGEST => Err(InputError::TooLarge { path: owned() }),
        Ok(text) => parse(path, &text),
        Err(source) => Err(InputError::Read {
            path: owned(),
            source,
        }),
    }
}

/// What is in a file, or a little more of it than a report can have.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut file = File::open(path)?.take(LARGEST + 1);
    file.read_to_end(&mut text)?;
    Ok(text)
}

pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Input, InputError> {
    let malformed = |source| InputError::Malformed {
        path: path.to_owned(),
        source,
    };
    let header: Header = serde_json::from_slice(text).map_err(malformed)?;
    match header.schema.as_str() {
        LAB_SCHEMA => Ok(Input::Lab(serde_json::from_slice(text).map_err(malformed)?)),
        MEASURE_SCHEMA => {
            let report = serde_json::from_slice(text).map_err(malformed)?;
            Ok(Input::Measure(Box::new(report)))
        }
        _ => Err(InputError::Schema {
            path: path.to_owned(),
            found: header.schema,
        }),
    }
}
