//! Reports as KTAP, version 1: the kernel's test protocol, for `git bisect run` and kernel CI.

use super::{LabReport, ResultRow, Verdict};
use std::fmt::Write;

/// Writes a KTAP document: the version, the plan, then the lines.
pub(super) fn document(lines: &[String]) -> String {
    let mut out = format!("KTAP version 1\n1..{}\n", lines.len());
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A lab report: a test a cell.
#[must_use]
pub fn lab(report: &LabReport) -> String {
    let lines: Vec<String> = report.results.iter().zip(1..).map(line).collect();
    let mut out = document(&lines);
    let tally: Vec<String> = report
        .tally()
        .iter()
        .map(|(verdict, n)| format!("{}:{n}", verdict.name()))
        .collect();
    let _ = writeln!(out, "# Totals: {}", tally.join(" "));
    out
}

fn line((row, number): (&ResultRow, usize)) -> String {
    let status = if row.verdict.is_bad() { "not ok" } else { "ok" };
    let name = format!("{status} {number} {}/{}", row.workload, row.policy);
    let detail = one_line(&row.detail);
    match row.verdict {
        Verdict::Skip => format!("{name} # SKIP {detail}"),
        Verdict::Pass => format!("{name} # traps={}", row.traps),
        Verdict::Bug => format!("{name} # traps={} bug: {detail}", row.traps),
        Verdict::Fail | Verdict::Error | Verdict::Crash => {
            let expected = row.expected_traps.map_or("-".to_owned(), |n| n.to_string());
            let verdict = row.verdict.name();
            format!(
                "{name} # traps={} expected={expected} {verdict}: {detail}",
                row.traps
            )
        }
    }
}

/// A diagnostic is one line.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{report, small};
    use super::*;
    use hypercalls::lab::{Outcome, Text};

    #[test]
    fn a_test_a_cell() {
        assert_eq!(
            lab(&small()),
            "KTAP version 1\n\
             1..6\n\
             ok 1 mprotect/eager # traps=512\n\
             ok 2 mprotect/generic # traps=17\n\
             ok 3 remap_pfn/eager # traps=512\n\
             not ok 4 remap_pfn/generic # traps=18 expected=17 fail: 18 traps, the model expects 17\n\
             ok 5 munmap/eager # traps=0\n\
             ok 6 munmap/generic # traps=0\n\
             # Totals: pass:5 fail:1\n"
        );
    }

    #[test]
    fn skips_say_so() {
        let mut cell = super::super::fixture::cell("pagemap_scan", "legacy-6.1", 0, 0);
        cell.result.outcome = Outcome::Skip as u32;
        cell.result.detail = Text::new("PAGEMAP_SCAN came\nin 6.7");
        let report = report(&["pagemap_scan"], &["legacy-6.1"], &[cell]);
        assert_eq!(
            lab(&report).lines().nth(2),
            Some("ok 1 pagemap_scan/legacy-6.1 # SKIP PAGEMAP_SCAN came in 6.7")
        );
    }
}
