//! Reports as one page to look at: `xenlet report --html`.
//!
//! Comes in: measurements of kernels, and lab reports beside them. Goes out: one HTML document that
//! needs no network and no script, the same for the same reports. What a file or a guest says is
//! text in it, never markup: everything is escaped where it is put in.

mod axis;
mod chart;
mod error;
mod finding;
mod growth;
mod input;
mod lab;
mod naming;
mod page;
mod sections;
mod subject;
mod tables;
#[cfg(test)]
mod tests;

pub use error::PageError;
pub use input::{Input, read};

use subject::Subjects;

/// A page, and what it says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The finding, in a sentence.
    pub headline: String,
    /// The document.
    pub html: String,
}

/// Makes a page of reports.
///
/// # Errors
/// If they have no place on one page: see [`PageError`].
pub fn page(inputs: &[Input]) -> Result<Page, PageError> {
    let subjects = Subjects::of(inputs)?;
    let finding = finding::finding(&subjects);
    let html = page::document(&subjects, &finding)?.into_string();
    let headline = finding.headline;
    Ok(Page { headline, html })
}
