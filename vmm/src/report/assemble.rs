//! A run's rows: what was counted and found, beside what the model expects.
//!
//! Comes in: the cells a run produced, in any number. Goes out: a row for every cell that was
//! asked for; what never reported is a crash or an error, not a gap.

use super::Version;
use super::schema::LAB_SCHEMA;
use super::verdict::verdict;
use super::{CellReport, Checks, FinalState, FlushReasons, Host, LabReport, ResultRow, Verdict};
use crate::config::{Backend, LabConfig};
use crate::golden::{self, Expected};
use std::collections::BTreeMap;

/// Makes the report of a run. `crash` says how the guest died, if it did: the first cell without
/// a result is where.
#[must_use]
pub fn assemble(
    config: &LabConfig,
    cells: &[CellReport],
    mut host: Host,
    crash: Option<&str>,
) -> LabReport {
    let by_name: BTreeMap<(&str, &str), &CellReport> = cells.iter().map(|c| (key(c), c)).collect();
    let mut died = crash;
    let mut results = Vec::new();
    for (workload, policy) in config.cells() {
        let expected = expected(config, workload, policy);
        results.push(match by_name.get(&(workload, policy)) {
            Some(cell) => row(config, workload, policy, cell, &expected),
            None => missing(config, workload, policy, &expected, died.take()),
        });
    }
    for (name, calls) in cells.iter().flat_map(|c| &c.other_hypercalls) {
        *host.other_hypercalls.entry(name.clone()).or_default() += calls;
    }
    LabReport {
        schema: LAB_SCHEMA.to_owned(),
        xenlet: Version::this(),
        host,
        results,
    }
}

fn expected(config: &LabConfig, workload: &str, policy: &str) -> Expected {
    let expected = golden::expect(workload, policy, config.ptes, config.batch, config.cpus);
    // There a task's stack is a nested call, which cannot go on elsewhere.
    if config.backend == Backend::Direct && workload == "migrate_cpu" {
        return expected.or_skip("the direct backend cannot resume a task on another vCPU");
    }
    expected
}

fn key(cell: &CellReport) -> (&str, &str) {
    (cell.result.workload.as_str(), cell.result.policy.as_str())
}

fn empty(config: &LabConfig, workload: &str, policy: &str, expected: &Expected) -> ResultRow {
    ResultRow {
        workload: workload.to_owned(),
        policy: policy.to_owned(),
        batch: config.batch,
        backend: config.backend,
        cpus: config.cpus,
        ptes: config.ptes,
        traps: 0,
        updates: 0,
        emulated_writes: 0,
        by_hypercall: BTreeMap::new(),
        batch_sizes: BTreeMap::new(),
        flush_reasons: FlushReasons::default(),
        expected_traps: expected.traps,
        final_state: FinalState::Ok,
        verdict: Verdict::Error,
        detail: String::new(),
        checks: Checks::default(),
    }
}

fn missing(
    config: &LabConfig,
    workload: &str,
    policy: &str,
    expected: &Expected,
    crash: Option<&str>,
) -> ResultRow {
    let mut row = empty(config, workload, policy, expected);
    row.final_state = FinalState::Wrong;
    match crash {
        Some(how) => (row.verdict, row.detail) = (Verdict::Crash, how.to_owned()),
        None => row.detail = "the guest ended before this cell reported".to_owned(),
    }
    row
}

fn row(
    config: &LabConfig,
    workload: &str,
    policy: &str,
    cell: &CellReport,
    expected: &Expected,
) -> ResultRow {
    let checks = checks(cell);
    let mut row = ResultRow {
        traps: cell.traps,
        updates: cell.updates,
        emulated_writes: cell.emulated_writes,
        by_hypercall: cell.by_hypercall.clone(),
        batch_sizes: cell.batch_sizes.clone(),
        flush_reasons: FlushReasons::from_causes(cell.flush_reasons),
        final_state: checks.state(),
        checks,
        ..empty(config, workload, policy, expected)
    };
    (row.verdict, row.detail) = verdict(cell, &row, expected);
    row
}

fn checks(cell: &CellReport) -> Checks {
    Checks {
        compared: cell.result.compared,
        differing: cell.result.differing,
        touched: cell.result.touched,
        mistouched: cell.result.mistouched,
        walked: cell.checked,
        mismatched: cell.check_mismatches,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cell, config};
    use super::*;
    use hypercalls::lab::{Outcome, Text};

    fn verdict_of(edit: impl FnOnce(&mut CellReport)) -> (Verdict, String) {
        let mut c = cell("mprotect", "generic", 17, 512);
        edit(&mut c);
        let report = assemble(
            &config(&["mprotect"], &["generic"]),
            &[c],
            Host::default(),
            None,
        );
        let row = &report.results[0];
        (row.verdict, row.detail.clone())
    }

    #[test]
    fn right_counts_and_right_tables_pass() {
        assert_eq!(verdict_of(|_| ()), (Verdict::Pass, String::new()));
    }

    #[test]
    fn every_disagreement_fails() {
        let fails = [
            verdict_of(|c| c.traps = 18),
            verdict_of(|c| c.emulated_writes = 1),
            verdict_of(|c| c.result.calls[1] += 1),
            verdict_of(|c| c.result.updates += 1),
            verdict_of(|c| c.flush_reasons.swap(1, 6)),
            verdict_of(|c| c.result.differing = 1),
            verdict_of(|c| c.result.mistouched = 1),
            verdict_of(|c| c.check_mismatches = 1),
            verdict_of(|c| {
                (c.result.compared, c.result.touched, c.checked) = (0, 0, 0);
            }),
            verdict_of(|c| c.result.outcome = Outcome::Bug as u32),
            verdict_of(|c| c.result.outcome = Outcome::Skip as u32),
        ];
        for (verdict, detail) in fails {
            assert_eq!(verdict, Verdict::Fail, "{detail}");
            assert!(!detail.is_empty());
        }
        let (verdict, detail) = verdict_of(|c| c.traps = 18);
        assert_eq!(
            (verdict, &*detail),
            (Verdict::Fail, "18 traps, the model expects 17")
        );
    }

    #[test]
    fn errors_are_the_tests_fault() {
        let (verdict, detail) = verdict_of(|c| {
            c.result.outcome = Outcome::Error as u32;
            c.result.detail = Text::new("no memory");
        });
        assert_eq!((verdict, &*detail), (Verdict::Error, "no memory"));
        assert_eq!(verdict_of(|c| c.result.outcome = 9).0, Verdict::Error);
    }

    #[test]
    fn an_expected_bug_is_a_bug_with_its_name() {
        let mut c = cell("nest", "legacy-6.1", 0, 0);
        c.result.outcome = Outcome::Bug as u32;
        c.result.bug = Text::new("BUG_ON in enter_lazy");
        let config = config(&["nest"], &["legacy-6.1"]);
        let report = assemble(&config, &[c], Host::default(), None);
        assert_eq!(report.results[0].verdict, Verdict::Bug);
        assert_eq!(report.results[0].detail, "BUG_ON in enter_lazy");
        assert_eq!(report.results[0].expected_traps, None);
    }

    /// A cell that ends in `bug`, which the model may expect there.
    fn bug(workload: &str, policy: &str, bug: &str, edit: fn(&mut CellReport)) -> ResultRow {
        let mut c = cell(workload, policy, 0, 0);
        c.result.outcome = Outcome::Bug as u32;
        c.result.bug = Text::new(bug);
        edit(&mut c);
        let config = config(&[workload], &[policy]);
        assemble(&config, &[c], Host::default(), None)
            .results
            .remove(0)
    }

    #[test]
    fn another_hazard_of_the_same_counts_is_not_the_expected_one() {
        let lost = |name| {
            bug("bh_mismatch", "generic", name, |c| {
                (c.traps, c.updates, c.result.updates) = (16, 496, 496);
                c.flush_reasons = [0, 0, 0, 0, 0, 0, 16, 0];
                c.result.calls = c.flush_reasons;
            })
        };
        let right = lost("disable ignored with BH off: the task stays lazy");
        assert_eq!(right.verdict, Verdict::Bug, "{}", right.detail);
        let other = lost("B then T on one PTE: the queued write lands last");
        assert_eq!(other.verdict, Verdict::Fail);
        assert!(
            other.detail.contains("expected disable"),
            "{}",
            other.detail
        );
        assert_eq!(lost("").verdict, Verdict::Fail);
    }

    #[test]
    fn a_bug_after_which_nobody_looked_fails() {
        let name = "BUG_ON in enter_lazy";
        let blind = bug("nest", "legacy-6.1", name, |c| c.result.compared = 0);
        assert_eq!(blind.verdict, Verdict::Fail, "{}", blind.detail);
        let wrong = bug("nest", "legacy-6.1", name, |c| c.result.differing = 1);
        assert_eq!(wrong.verdict, Verdict::Fail);
        assert_eq!(wrong.final_state, FinalState::Wrong);
    }

    #[test]
    fn what_never_reported_is_not_a_gap() {
        let config = config(&["mprotect", "fork"], &["eager"]);
        let report = assemble(&config, &[], Host::default(), Some("triple fault"));
        let verdicts: Vec<_> = report.results.iter().map(|r| r.verdict).collect();
        assert_eq!(verdicts, [Verdict::Crash, Verdict::Error]);
        assert_eq!(report.results[0].detail, "triple fault");
        assert_eq!(report.exit(), crate::exit::Exit::GuestCrashed);
    }
}
