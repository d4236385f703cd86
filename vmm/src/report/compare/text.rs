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
        c.rows.len() + c.only_a.len(),
        c.worse(),
        count(Change::Same),
        count(Change::Better),
        c.tolerance_pct
    );
    if !c.only_a.is_empty() {
        out.push_str(&format!("worse, not in B: {}\n", c.only_a.join(" ")));
    }
    if !c.only_b.is_empty() {
        out.push_str(&format!("only in B: {}\n", c.only_b.join(" ")));
    }
    out
}

/// A line a row, worst first; last the rows of the first report alone, without a second side.
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
    lines::table(
        header,
        rows.chain(c.only_a.iter().map(|name| missing(name))),
    )
}

fn missing(name: &str) -> [String; 10] {
    let (workload, policy) = name.split_once('/').unwrap_or((name, ""));
    let mut line = [const { String::new() }; 10];
    (line[0], line[1], line[9]) = (workload.into(), policy.into(), "missing".into());
    line
}

/// A test a row, worst first; last the rows of the first report alone.
#[must_use]
pub fn ktap(c: &Comparison) -> String {
    let missing = c.only_a.iter().zip(c.rows.len() + 1..);
    let missing = missing.map(|(name, number)| format!("not ok {number} {name} # missing"));
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
    test::document(&rows.chain(missing).collect::<Vec<_>>())
}
