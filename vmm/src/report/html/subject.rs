//! What a page is about: kernels, the operations they performed, and the lab beside them.
//!
//! Comes in: reports, each with its file's name. Goes out: [`Subjects`], in which rows of the same
//! operation, pages and depth stand side by side, a kernel without such a row leaving a gap.

use super::input::Input;
use super::lab::Lab;
use super::{PageError, naming};
use crate::report::compare;
use crate::report::compare::measured::{Noise, comparable};
use crate::report::measure::{MeasureReport, OperationRow, Status};
use std::collections::BTreeMap;

/// A kernel of the page.
#[derive(Debug)]
pub(super) struct Kernel<'a> {
    /// What the page calls it; no two alike.
    pub(super) name: String,
    /// The file it is from.
    pub(super) file: &'a str,
    pub(super) report: &'a MeasureReport,
}

/// The same work on every kernel.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) operation: &'a str,
    pub(super) pages: u64,
    pub(super) depth: u64,
    /// The rows by kernel; none where it has no such row.
    pub(super) rows: Vec<Option<&'a OperationRow>>,
    /// Of its operation on all kernels.
    pub(super) noise: Noise,
}

impl<'a> Line<'a> {
    /// A kernel's row, if there are numbers in it: what was skipped or failed has none.
    pub(super) fn measured(&self, kernel: usize) -> Option<&'a OperationRow> {
        let row = self.rows.get(kernel).copied().flatten()?;
        (row.status == Status::Measured).then_some(row)
    }

    /// All rows with numbers, each with its kernel.
    pub(super) fn all_measured(&self) -> impl Iterator<Item = (usize, &'a OperationRow)> {
        (0..self.rows.len()).filter_map(|k| Some((k, self.measured(k)?)))
    }

    /// Why a kernel's row has no numbers.
    pub(super) fn gap(&self, kernel: usize) -> &'static str {
        match self.rows.get(kernel).copied().flatten().map(|r| r.status) {
            Some(Status::Skipped) => "skipped",
            Some(Status::Failed) => "failed",
            Some(Status::Measured) | None => "no row",
        }
    }

    /// `512 pages`, `512 pages @255`.
    pub(super) fn size(&self) -> String {
        let pages = match self.pages {
            0 => "once".to_owned(),
            1 => "1 page".to_owned(),
            n => format!("{n} pages"),
        };
        match self.depth {
            0 => pages,
            depth => format!("{pages} @{depth}"),
        }
    }

    /// As [`OperationRow::label`].
    pub(super) fn label(&self) -> String {
        let row = self.rows.iter().flatten().next();
        row.map_or(String::new(), |row| row.label())
    }

    /// What two or more kernels agree on, all of them having numbers.
    pub(super) fn agreed<T: PartialEq>(&self, of: impl Fn(&'a OperationRow) -> T) -> Option<T> {
        let mut rows = (0..self.rows.len()).map(|k| self.measured(k).map(&of));
        let first = rows.next()??;
        let same = self.rows.len() > 1 && rows.all(|other| other.as_ref() == Some(&first));
        same.then_some(first)
    }
}

/// Everything on the page.
#[derive(Debug, Default)]
pub(super) struct Subjects<'a> {
    /// In the order given.
    pub(super) kernels: Vec<Kernel<'a>>,
    /// In the order performed, an operation's lines together.
    pub(super) lines: Vec<Line<'a>>,
    pub(super) lab: Option<Lab<'a>>,
}

impl<'a> Subjects<'a> {
    /// Sorts out what was given.
    pub(super) fn of(inputs: &'a [Input]) -> Result<Subjects<'a>, PageError> {
        let mut subjects = Subjects::default();
        for (i, input) in inputs.iter().enumerate() {
            let same = |other: &&Input| other.report == input.report;
            if let Some(other) = inputs[..i].iter().find(same) {
                let (a, b) = (other.file.clone(), input.file.clone());
                return Err(PageError::SameReport { a, b });
            }
            match &input.report {
                compare::Input::Measure(report) => subjects.kernel(&input.file, report)?,
                compare::Input::Lab(report) => {
                    let lab = subjects.lab.get_or_insert_default();
                    lab.add(&input.file, report)?;
                }
            }
        }
        if inputs.is_empty() {
            return Err(PageError::Nothing);
        }
        naming::name(&mut subjects.kernels);
        subjects.join()?;
        Ok(subjects)
    }

    fn kernel(&mut self, file: &'a str, report: &'a MeasureReport) -> Result<(), PageError> {
        let first = self.kernels.first();
        let first = first.map_or((file, report), |kernel| (kernel.file, kernel.report));
        comparable(first, (file, report))?;
        if !report.results.iter().any(|r| r.status == Status::Measured) {
            let file = file.to_owned();
            return Err(PageError::Empty { file });
        }
        let name = String::new();
        self.kernels.push(Kernel { name, file, report });
        Ok(())
    }

    /// Puts rows of one operation, size and depth side by side.
    fn join(&mut self) -> Result<(), PageError> {
        let mut order: Vec<&str> = Vec::new();
        let mut lines: BTreeMap<(usize, u64, u64), Line<'a>> = BTreeMap::new();
        let kernels = self.kernels.len();
        let reports = self.kernels.iter().map(|kernel| kernel.report);
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (k, kernel) in self.kernels.iter().enumerate() {
            for row in &kernel.report.results {
                let place = *places.entry(&row.operation).or_insert_with(|| {
                    order.push(&row.operation);
                    order.len() - 1
                });
                let line = lines.entry((place, row.depth, row.pages));
                let line = line.or_insert_with(|| Line {
                    operation: &row.operation,
                    pages: row.pages,
                    depth: row.depth,
                    rows: vec![None; kernels],
                    noise: Noise::of(reports.clone(), (&row.operation, row.scope)),
                });
                if line.rows[k].replace(row).is_some() {
                    let (file, row) = (kernel.file.to_owned(), row.label());
                    return Err(PageError::DuplicateRow { file, row });
                }
            }
        }
        self.lines = lines.into_values().collect();
        Ok(())
    }

    /// The lines of each operation.
    pub(super) fn operations(&self) -> impl Iterator<Item = &[Line<'a>]> {
        self.lines.chunk_by(|a, b| a.operation == b.operation)
    }
}
