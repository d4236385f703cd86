//! A comparison as table, CSV and KTAP.

use super::{Cause, Change, Comparison, Row, Side};
use crate::report::Verdict;
use crate::report::grid::grid;
use crate::report::{csv as lines, ktap as test};

/// For people: worst first.
#[must_use]
pub fn table(c: &Comparison) -> String {
    let header = [
        "workload", "policy", "traps A", "traps B", "factor", "writes A", "writes B", "",
    ];
    let rows = c.rows.iter().map(|r| {
        vec![
            r.workload.clone(),
            policies(r),
            traps(&r.a),
            traps(&r.b),
            factor(r),
            r.a.emulated_writes.to_string(),
            r.b.emulated_writes.to_string(),
            r.cause().map_or(r.change.name(), Cause::name).to_owned(),
        ]
    });
    let grid = grid(header.map(str::to_owned).to_vec(), rows.collect(), 2);
    let causes: String = c.causes.iter().map(|line| format!("{line}\n")).collect();
    format!("A = {}\nB = {}\n{causes}\n{grid}\n{}", c.a, c.b, summary(c))
}

fn factor(row: &Row) -> String {
    match row.a.traps {
        _ if !row.counted() => "-".to_owned(),
        0 if row.b.traps > 0 => "from 0".to_owned(),
        _ => format!("{:.2}x", row.factor()),
    }
}

fn policies(row: &Row) -> String {
    if row.a.policy == row.b.policy {
        return row.a.policy.clone();
    }
    format!("{} -> {}", row.a.policy, row.b.policy)
}

fn traps(side: &Side) -> String {
    match side.verdict {
        Verdict::Pass => side.traps.to_string(),
        Verdict::Skip => "-".to_owned(),
        verdict => format!("{} {}", side.traps, verdict.name()),
    }
}

fn summary(c: &Comparison) -> String {
    let count = |change| c.rows.iter().filter(|r| r.change == change).count();
    let mut out = format!(
        "{} rows: {} worse, {} same, {} better; tolerance {}%\n",
        c.rows.len(),
        count(Change::Worse),
        count(Change::Same),
        count(Change::Better),
        c.tolerance_pct
    );
    for (name, only) in [("A", &c.only_a), ("B", &c.only_b)] {
        if !only.is_empty() {
            out.push_str(&format!("only in {name}: {}\n", only.join(" ")));
        }
    }
    out
}

/// A line a row, worst first.
#[must_use]
pub fn csv(c: &Comparison) -> String {
    let header = [
        "workload",
        "policy_a",
        "policy_b",
        "traps_a",
        "traps_b",
        "emulated_writes_a",
        "emulated_writes_b",
        "verdict_a",
        "verdict_b",
        "change",
    ];
    let rows = c.rows.iter().map(|r| {
        [
            r.workload.clone(),
            r.a.policy.clone(),
            r.b.policy.clone(),
            r.a.traps.to_string(),
            r.b.traps.to_string(),
            r.a.emulated_writes.to_string(),
            r.b.emulated_writes.to_string(),
            r.a.verdict.name().to_owned(),
            r.b.verdict.name().to_owned(),
            r.change.name().to_owned(),
        ]
    });
    lines::table(header, rows)
}

/// A test a row, worst first.
#[must_use]
pub fn ktap(c: &Comparison) -> String {
    let rows = c.rows.iter().zip(1..).map(|(row, number)| {
        let status = if row.change == Change::Worse {
            "not ok"
        } else {
            "ok"
        };
        let policy = policies(row).replace(" -> ", "-to-");
        let (a, b) = (&row.a, &row.b);
        let mut line = format!(
            "{status} {number} {}/{policy} # traps={} was={} writes={} was={}",
            row.workload, b.traps, a.traps, b.emulated_writes, a.emulated_writes
        );
        if a.verdict != b.verdict {
            line.push_str(&format!(
                " verdict={} was={}",
                b.verdict.name(),
                a.verdict.name()
            ));
        }
        line
    });
    test::document(&rows.collect::<Vec<_>>())
}
