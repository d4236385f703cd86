//! The matrix: workloads down, policies across, and below it what batching saves.

use crate::report::grid::{grid, narrow};
use crate::report::{FinalState, LabReport, ResultRow, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// The results by name, with the names in the order of the report.
pub(super) struct Matrix<'a> {
    workloads: Vec<&'a str>,
    pub(super) policies: Vec<&'a str>,
    pub(super) cells: BTreeMap<(&'a str, &'a str), &'a ResultRow>,
}

impl<'a> Matrix<'a> {
    pub(super) fn of(report: &'a LabReport) -> Matrix<'a> {
        let rows = &report.results;
        Matrix {
            workloads: distinct(rows.iter().map(|r| r.workload.as_str())),
            policies: distinct(rows.iter().map(|r| r.policy.as_str())),
            cells: rows
                .iter()
                .map(|r| ((r.workload.as_str(), r.policy.as_str()), r))
                .collect(),
        }
    }

    fn cell(&self, workload: &'a str, policy: &'a str) -> Option<&'a ResultRow> {
        self.cells.get(&(workload, policy)).copied()
    }

    fn row(&self, workload: &'a str) -> impl Iterator<Item = Option<&'a ResultRow>> {
        self.policies.iter().map(move |p| self.cell(workload, p))
    }

    pub(super) fn grid(&self) -> String {
        let mut header = vec!["workload".to_owned()];
        header.extend(self.policies.iter().map(|p| narrow(p)));
        header.push("direct\nwrites".to_owned());
        let mut rows: Vec<Vec<String>> = self.workloads.iter().map(|w| self.line(w)).collect();
        let reduction = self.reduction();
        if !reduction.is_empty() {
            rows.push(vec![String::new()]);
            rows.extend(reduction);
        }
        grid(header, rows, 1)
    }

    fn line(&self, workload: &'a str) -> Vec<String> {
        let mut line = vec![workload.to_owned()];
        line.extend(
            self.row(workload)
                .map(|cell| cell.map_or(String::new(), shown)),
        );
        line.push(self.direct_writes(workload));
        line
    }

    /// Emulated writes over the policies that ran: one number, or the range.
    fn direct_writes(&self, workload: &'a str) -> String {
        let ran = self.row(workload).flatten().filter(|r| r.counted());
        let counts: BTreeSet<u64> = ran.map(|r| r.emulated_writes).collect();
        match (counts.first(), counts.last()) {
            (Some(a), Some(b)) if a != b => format!("{a}-{b}"),
            (Some(a), _) => a.to_string(),
            _ => "-".to_owned(),
        }
    }

    /// Sums over the workloads that ran under `eager` and under the policy alike.
    fn reduction(&self) -> Vec<Vec<String>> {
        if !self.policies.contains(&"eager") {
            return Vec::new();
        }
        let sums: Vec<(u64, u64)> = self.policies.iter().map(|p| self.sums(p)).collect();
        let line = |name: &str, cell: &dyn Fn(&(u64, u64)) -> String| {
            let mut line = vec![name.to_owned()];
            line.extend(sums.iter().map(cell));
            line
        };
        vec![
            line("all, traps", &|(_, traps)| traps.to_string()),
            line("all, eager", &|(eager, _)| eager.to_string()),
            line("fewer traps", &|&(eager, traps)| percent(eager, traps)),
            line("factor", &|&(eager, traps)| factor(eager, traps)),
        ]
    }

    fn sums(&self, policy: &'a str) -> (u64, u64) {
        let both = self.workloads.iter().filter_map(|w| {
            let (eager, row) = (self.cell(w, "eager")?, self.cell(w, policy)?);
            (eager.counted() && row.counted()).then_some((eager.traps, row.traps))
        });
        both.fold((0, 0), |sum, both| (sum.0 + both.0, sum.1 + both.1))
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

/// A cell's text.
pub(super) fn shown(row: &ResultRow) -> String {
    match row.verdict {
        Verdict::Pass => row.traps.to_string(),
        Verdict::Bug if row.expected_traps.is_some() => format!("{}*", row.traps),
        Verdict::Bug => "BUG".to_owned(),
        Verdict::Skip => "-".to_owned(),
        Verdict::Fail if row.final_state == FinalState::Wrong => "WRONG".to_owned(),
        Verdict::Fail => format!("{}!", row.traps),
        Verdict::Error => "ERROR".to_owned(),
        Verdict::Crash => "CRASH".to_owned(),
    }
}

fn percent(eager: u64, traps: u64) -> String {
    match eager {
        0 => "-".to_owned(),
        _ => format!("{:.1}%", 100.0 - 100.0 * traps as f64 / eager as f64),
    }
}

fn factor(eager: u64, traps: u64) -> String {
    match traps {
        0 => "-".to_owned(),
        _ => format!("{:.1}x", eager as f64 / traps as f64),
    }
}
