//! The lab's rows as one matrix, whatever number of reports they are in.

use super::PageError;
use crate::report::{LabReport, ResultRow};
use std::collections::{BTreeMap, BTreeSet};

/// Cells of the largest matrix a page shows; ours has some hundreds.
const CELLS: usize = 100_000;

/// Workloads that the runner of `xenlet measure` has under another name.
const RUNNERS: [(&str, &str); 2] = [("zap_swap", "munmap_swapped"), ("vmap", "bpf_map")];

/// The operation that is a workload's on a real kernel.
pub(super) fn operation(workload: &str) -> &str {
    let named = RUNNERS.iter().find(|(lab, _)| *lab == workload);
    named.map_or(workload, |(_, runner)| runner)
}

/// The lab beside the kernels.
#[derive(Debug, Default)]
pub(super) struct Lab<'a> {
    /// In the order they are in the reports.
    pub(super) workloads: Vec<&'a str>,
    /// As well.
    pub(super) policies: Vec<&'a str>,
    cells: BTreeMap<(&'a str, &'a str), &'a ResultRow>,
    seen: [BTreeSet<&'a str>; 2],
}

impl<'a> Lab<'a> {
    /// Adds a report's rows.
    pub(super) fn add(&mut self, file: &str, report: &'a LabReport) -> Result<(), PageError> {
        if report.results.is_empty() {
            let file = file.to_owned();
            return Err(PageError::Empty { file });
        }
        report
            .results
            .iter()
            .try_for_each(|row| self.row(file, row))?;
        match self.workloads.len().saturating_mul(self.policies.len()) {
            0..=CELLS => Ok(()),
            _ => Err(PageError::TooLarge {
                file: file.to_owned(),
            }),
        }
    }

    fn row(&mut self, file: &str, row: &'a ResultRow) -> Result<(), PageError> {
        let name = || format!("{}/{}", row.workload, row.policy);
        let others = self.cells.values().next().map(|other| size(other));
        if let Some(others) = others.filter(|others| *others != size(row)) {
            return Err(PageError::LabSizes {
                file: file.to_owned(),
                row: name(),
                found: size(row),
                others,
            });
        }
        if self
            .cells
            .insert((&row.workload, &row.policy), row)
            .is_some()
        {
            return Err(PageError::DuplicateRow {
                file: file.to_owned(),
                row: name(),
            });
        }
        let [workloads, policies] = &mut self.seen;
        if workloads.insert(&row.workload) {
            self.workloads.push(&row.workload);
        }
        if policies.insert(&row.policy) {
            self.policies.push(&row.policy);
        }
        Ok(())
    }

    /// A workload's row under a policy.
    pub(super) fn cell(&self, workload: &str, policy: &str) -> Option<&'a ResultRow> {
        self.cells.get(&(workload, policy)).copied()
    }

    /// A workload's rows whose counts are those of the whole workload.
    pub(super) fn counted(&self, workload: &str) -> impl Iterator<Item = &'a ResultRow> {
        let cells = self
            .policies
            .iter()
            .filter_map(move |p| self.cell(workload, p));
        cells.filter(|row| row.counted())
    }

    /// PTEs each workload works on.
    pub(super) fn ptes(&self) -> u64 {
        let row = self.cells.values().next();
        row.map_or(0, |row| u64::from(row.ptes))
    }

    /// What all rows have in common.
    pub(super) fn size(&self) -> String {
        self.cells
            .values()
            .next()
            .map_or(String::new(), |row| size(row))
    }
}

fn size(row: &ResultRow) -> String {
    format!("{} PTEs, batch {}, {} vCPU", row.ptes, row.batch, row.cpus)
}
