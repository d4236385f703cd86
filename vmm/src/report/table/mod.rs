//! The lab's report for people: workloads down, policies across, traps in the cells; below it
//! what batching saves, and a line for each cell that is not a plain number.

mod matrix;
mod notes;

use super::grid::wrapped;
use super::{FinalState, LabReport};
use matrix::{Matrix, shown};
use notes::notes;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Characters a line may have.
const WIDTH: usize = 100;

/// The report's word for a final state.
#[must_use]
pub const fn state(state: FinalState) -> &'static str {
    match state {
        FinalState::Ok => "ok",
        FinalState::Wrong => "wrong",
    }
}

/// A lab report as a matrix with its legend.
#[must_use]
pub fn lab(report: &LabReport) -> String {
    let matrix = Matrix::of(report);
    let mut out = heading(report);
    out.push('\n');
    out.push_str(&matrix.grid());
    out.push('\n');
    out.push_str(&legend(&matrix));
    out.push_str(&notes(report));
    out.push_str(&totals(report));
    out
}

fn heading(report: &LabReport) -> String {
    let Some(row) = report.results.first() else {
        return "nothing was measured\n".to_owned();
    };
    let vcpus = if row.cpus == 1 { "vCPU" } else { "vCPUs" };
    format!(
        "hypercall traps in the section: {} PTEs, batch {}, backend {}, {} {vcpus}\n",
        row.ptes,
        row.batch,
        row.backend.name(),
        row.cpus
    )
}

fn legend(matrix: &Matrix<'_>) -> String {
    let shown: BTreeSet<String> = matrix.cells.values().map(|r| shown(r)).collect();
    let any = |ends: &str| shown.iter().any(|s| s.ends_with(ends));
    let mut parts =
        vec!["direct writes: to live page tables, trapped and emulated, not in the traps"];
    let explained = [
        ("BUG", "BUG: the modelled kernel stops here"),
        ("*", "*: it goes on, but serves stale data"),
        ("-", "-: it has no such call"),
        ("!", "!: not the traps the model expects"),
        ("WRONG", "WRONG: wrong page tables"),
        ("ERROR", "ERROR: the test itself went wrong"),
        ("CRASH", "CRASH: the guest crashed"),
    ];
    parts.extend(
        explained
            .iter()
            .filter(|(mark, _)| any(mark))
            .map(|(_, text)| text),
    );
    if !matrix.policies.contains(&"eager") {
        parts.push("add policy eager for the reduction");
    }
    wrapped(&parts.join(" · "), WIDTH)
}

fn totals(report: &LabReport) -> String {
    let cells = report.results.len();
    let plural = if cells == 1 { "" } else { "s" };
    let mut out = format!("\n{cells} cell{plural}:");
    for (verdict, n) in report.tally() {
        let _ = write!(out, " {n} {}", verdict.name());
    }
    let wrong = report
        .results
        .iter()
        .filter(|r| r.final_state == FinalState::Wrong);
    match wrong.count() {
        0 => out.push_str("; every final_state ok\n"),
        n => {
            let _ = writeln!(out, "; final_state wrong in {n}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cell, config, report, small};
    use super::*;
    use crate::golden;

    #[test]
    fn the_matrix_and_what_is_below_it() {
        let expected = "\
hypercall traps in the section: 512 PTEs, batch linux, backend direct, 1 vCPU

workload     eager  generic  direct
                             writes
mprotect       512       17       0
remap_pfn      512      18!       0
munmap           0        0     512

all, traps    1024       35
all, eager    1024     1024
fewer traps   0.0%    96.6%
factor        1.0x    29.3x

direct writes: to live page tables, trapped and emulated, not in the traps · !: not the traps the
  model expects

fail: 18 traps, the model expects 17: remap_pfn/generic

6 cells: 5 pass 1 fail; every final_state ok
";
        assert_eq!(lab(&small()), expected);
    }

    #[test]
    fn nine_policies_fit_a_hundred_columns() {
        let names = golden::POLICIES;
        let workloads = golden::WORKLOADS;
        let mut cells = Vec::new();
        for w in workloads {
            cells.extend(names.iter().map(|p| cell(w, p, 1025, 1025)));
        }
        let text = lab(&report(workloads, names, &cells));
        let matrix: Vec<&str> = text.lines().skip(2).take(workloads.len() + 8).collect();
        for line in matrix {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn without_eager_the_legend_says_so() {
        let text = lab(&report(
            &["mprotect"],
            &["generic"],
            &[cell("mprotect", "generic", 17, 512)],
        ));
        assert!(text.contains("add policy eager"), "{text}");
        assert!(!text.contains("factor"));
        let none = super::super::assemble::assemble(
            &config(&[], &[]),
            &[],
            super::super::Host::default(),
            None,
        );
        assert!(lab(&none).starts_with("nothing was measured"));
    }
}
