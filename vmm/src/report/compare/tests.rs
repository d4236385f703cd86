//! Joins, order, tolerance and what is refused.

use super::*;
use crate::config::{Backend, Batch};
use crate::report::Verdict;
use crate::report::fixture::{cell, report};
use crate::report::json;
use std::path::Path;

fn generic() -> LabReport {
    let cells = [
        cell("mprotect", "generic", 17, 512),
        cell("munmap", "generic", 0, 0),
    ];
    report(&["munmap", "mprotect"], &["generic"], &cells)
}

fn shipped() -> LabReport {
    let cells = [
        cell("mprotect", "generic-7.2", 512, 512),
        cell("munmap", "generic-7.2", 0, 0),
    ];
    report(&["munmap", "mprotect"], &["generic-7.2"], &cells)
}

fn compared(a: &LabReport, b: &LabReport, tolerance: f64) -> Comparison {
    compare(("a.json", a), ("b.json", b), tolerance).expect("comparable")
}

#[test]
fn one_policy_against_another_puts_the_lost_batching_first() {
    let c = compared(&generic(), &shipped(), 0.0);
    assert_eq!(c.exit(), Exit::CheckFailed);
    assert_eq!(c.rows[0].workload, "mprotect");
    assert_eq!((c.rows[0].a.traps, c.rows[0].b.traps), (17, 512));
    let text = table(&c);
    assert!(text.contains("generic -> generic-7.2"), "{text}");
    assert!(text.contains("30.12x"), "{text}");
    let ktap = ktap(&c);
    let line = "not ok 1 mprotect/generic-to-generic-7.2 # traps=512 was=17 writes=0 was=0";
    assert!(ktap.contains(line), "{ktap}");
    assert!(csv(&c).contains("mprotect,generic,generic-7.2,17,512,0,0,pass,pass,worse"));
}

#[test]
fn the_same_report_is_the_same_and_the_other_way_is_better() {
    assert_eq!(compared(&generic(), &generic(), 0.0).exit(), Exit::Done);
    let back = compared(&shipped(), &generic(), 0.0);
    assert_eq!(back.exit(), Exit::Done);
    assert_eq!(
        back.rows
            .iter()
            .filter(|r| r.change == Change::Better)
            .count(),
        1
    );
}

#[test]
fn the_tolerance_is_a_bound_on_growth() {
    let mut b = generic();
    b.results[1].traps = 18;
    assert_eq!(compared(&generic(), &b, 5.0).exit(), Exit::CheckFailed);
    assert_eq!(compared(&generic(), &b, 6.0).exit(), Exit::Done);
    b.results[1].verdict = Verdict::Fail;
    assert_eq!(compared(&generic(), &b, 6.0).exit(), Exit::CheckFailed);
    let mut b = generic();
    b.results[0].emulated_writes = 1;
    assert_eq!(compared(&generic(), &b, 50.0).exit(), Exit::CheckFailed);
}

#[test]
fn from_nothing_to_something_is_the_worst() {
    let mut b = generic();
    (b.results[0].traps, b.results[1].traps) = (1, 512);
    let c = compared(&generic(), &b, 0.0);
    assert_eq!(c.rows[0].workload, "munmap");
    assert!(json(&c).contains("\"change\": \"worse\""));
}

#[test]
fn what_was_not_counted_is_judged_by_its_verdict() {
    let mut a = generic();
    (a.results[1].verdict, a.results[1].traps) = (Verdict::Skip, 0);
    assert_eq!(compared(&a, &generic(), 0.0).exit(), Exit::Done);
    // A BUG that stops, then a run: more traps, but better. And the other way.
    a.results[1].verdict = Verdict::Bug;
    a.results[1].expected_traps = None;
    assert_eq!(compared(&a, &generic(), 0.0).rows[1].change, Change::Better);
    assert_eq!(compared(&generic(), &a, 0.0).exit(), Exit::CheckFailed);
    // Stale data, but counted: losing the batching is a loss all the same.
    (a.results[1].expected_traps, a.results[1].traps) = (Some(17), 17);
    let mut b = generic();
    b.results[1].traps = 512;
    assert_eq!(compared(&a, &b, 0.0).rows[0].change, Change::Worse);
}

#[test]
fn a_row_that_is_skipped_now_is_a_loss() {
    for lost in [Verdict::Pass, Verdict::Bug, Verdict::Fail] {
        let (mut a, mut b) = (generic(), generic());
        a.results[1].verdict = lost;
        b.results[1].verdict = Verdict::Skip;
        let c = compared(&a, &b, 0.0);
        assert_eq!(c.exit(), Exit::CheckFailed, "{lost:?}");
        assert_eq!(c.causes, ["no longer measured: 1 rows: mprotect"]);
        assert!(table(&c).contains("skipped now"), "{}", table(&c));
        let back = compared(&b, &a, 0.0);
        let worse = lost != Verdict::Pass;
        assert_eq!(back.exit() == Exit::CheckFailed, worse, "{lost:?}");
    }
}

#[test]
fn rows_that_were_measured_differently_do_not_compare() {
    let refused = |edit: fn(&mut ResultRow)| {
        let mut b = generic();
        b.results.iter_mut().for_each(edit);
        let e = compare(("a", &generic()), ("b", &b), 0.0);
        e.expect_err("other counts").to_string()
    };
    assert_eq!(
        refused(|r| r.ptes = 64),
        "munmap: a has ptes 512, b has ptes 64: these counts do not compare"
    );
    let batch = refused(|r| r.batch = Batch::Updates(7));
    assert!(batch.contains("batch linux, b has batch 7"), "{batch}");
    let cpus = refused(|r| r.cpus = 2);
    assert!(cpus.contains("cpus 1, b has cpus 2"), "{cpus}");
    let mut kvm = generic();
    kvm.results
        .iter_mut()
        .for_each(|r| r.backend = Backend::Kvm);
    assert_eq!(compared(&generic(), &kvm, 0.0).exit(), Exit::Done);
}

#[test]
fn rows_of_one_side_are_named_and_none_in_common_is_refused() {
    let one = report(
        &["mprotect"],
        &["generic"],
        &[cell("mprotect", "generic", 17, 512)],
    );
    let c = compared(&generic(), &one, 0.0);
    assert_eq!(c.only_a, ["munmap/generic"]);
    assert_eq!((c.exit(), c.worse()), (Exit::CheckFailed, 1));
    assert_eq!(c.causes, ["not in b.json: 1 rows: munmap/generic"]);
    let text = table(&c);
    assert!(text.contains("2 rows: 1 worse, 1 same, 0 better"), "{text}");
    assert!(text.contains("worse, not in B: munmap/generic"), "{text}");
    assert!(ktap(&c).contains("1..2\n"), "{}", ktap(&c));
    assert!(ktap(&c).contains("not ok 2 munmap/generic # missing"));
    assert!(csv(&c).ends_with("munmap,generic,,,,,,,,missing\n"));
    let back = compared(&one, &generic(), 0.0);
    assert_eq!((back.exit(), back.only_a.len()), (Exit::Done, 0));
    assert_eq!(back.only_b, ["munmap/generic"]);
    let other = report(&["fork"], &["generic"], &[]);
    assert!(compare(("a", &one), ("b", &other), 0.0).is_err());
    let mut twice = one.clone();
    twice.results.push(twice.results[0].clone());
    let e = compare(("a", &one), ("b", &twice), 0.0).expect_err("ambiguous");
    assert_eq!(e.to_string(), "b: two rows for mprotect/generic");
}

#[test]
fn files_that_are_no_report_say_where() {
    let parse = |text: &str| input::parse(Path::new("r.json"), text.as_bytes());
    let text = json(&generic());
    assert_eq!(parse(&text).ok(), Some(Input::Lab(generic())));
    let cut = parse(&text[..text.len() / 2]).expect_err("cut");
    assert!(cut.to_string().starts_with("r.json:"), "{cut}");
    let other = parse("{\"schema\": \"xenlet.lab/2\"}").expect_err("schema");
    assert_eq!(
        other.to_string(),
        "r.json: schema is \"xenlet.lab/2\", not \"xenlet.lab/1\" or \"xenlet.measure/1\""
    );
    let no_schema = parse("{}").expect_err("none");
    assert_eq!(no_schema.to_string(), "r.json:1:2: not a report");
    let typo = text.replace("\"traps\": 17", "\"traps\": \"x\"");
    assert!(matches!(parse(&typo), Err(InputError::Malformed { .. })));
}
