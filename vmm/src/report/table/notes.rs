//! What a cell's mark stands for, in words.

use super::WIDTH;
use crate::report::grid::wrapped;
use crate::report::{LabReport, Verdict};

/// A line for each cell that is not a plain number: what is wrong first, BUGs by name after it.
pub(super) fn notes(report: &LabReport) -> String {
    let mut out = String::new();
    for row in report.results.iter().filter(|r| r.verdict.is_bad()) {
        note(
            &mut out,
            &format!("{}/{}", row.workload, row.policy),
            row.verdict.name(),
            &row.detail,
        );
    }
    for verdict in [Verdict::Bug, Verdict::Skip] {
        for (detail, names) in grouped(report, verdict) {
            note(&mut out, &names.join(" "), verdict.name(), detail);
        }
    }
    if !out.is_empty() {
        out.insert(0, '\n');
    }
    out
}

fn note(out: &mut String, names: &str, verdict: &str, detail: &str) {
    out.push_str(&wrapped(&format!("{verdict}: {detail}: {names}"), WIDTH));
}

/// Cells with one verdict, by what it says, in the order of the report.
fn grouped(report: &LabReport, verdict: Verdict) -> Vec<(&str, Vec<String>)> {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for row in report.results.iter().filter(|r| r.verdict == verdict) {
        let name = format!("{}/{}", row.workload, row.policy);
        match groups.iter_mut().find(|(detail, _)| *detail == row.detail) {
            Some((_, names)) => names.push(name),
            None => groups.push((&row.detail, vec![name])),
        }
    }
    groups
}
