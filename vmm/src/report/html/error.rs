//! Why there is no page.

use crate::report::compare::InputError;
use crate::report::compare::measured::KernelsError;
use plotters::drawing::DrawingAreaErrorKind;
use std::io;
use thiserror::Error;

/// Files that no page can be made of. Files are called by the names they were given by.
#[derive(Debug, Error)]
pub enum PageError {
    /// One cannot be read, or is none.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Operations of different runners are different operations.
    #[error(transparent)]
    NotComparable(#[from] KernelsError),
    /// The lab's matrix is larger than anybody could look at.
    #[error("{file}: more workloads and policies than a page can show")]
    TooLarge {
        /// Where the last are.
        file: String,
    },
    /// There is nothing to draw.
    #[error("{file}: no row was measured")]
    Empty {
        /// Which.
        file: String,
    },
    /// Two rows of one name.
    #[error("{file}: two rows for {row}")]
    DuplicateRow {
        /// Where the second is.
        file: String,
        /// Their name.
        row: String,
    },
    /// One report twice.
    #[error("{a} and {b} are the same report")]
    SameReport {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// Lab rows that do not belong in one table.
    #[error("{file}: {row} is of {found}, other lab rows of {others}: not comparable")]
    LabSizes {
        /// Where it is.
        file: String,
        /// Which row.
        row: String,
        /// Its size.
        found: String,
        /// The others'.
        others: String,
    },
    /// Nothing was given.
    #[error("no report was given")]
    Nothing,
    /// A chart could not be drawn.
    #[error("cannot draw a chart")]
    Draw(#[from] DrawingAreaErrorKind<io::Error>),
}
