//! A comparison of kernels as table, markdown, CSV and KTAP.

use super::{KernelComparison, KernelRow};
use crate::report::compare::Change;
use crate::report::grid::grid;
use crate::report::measure::{Spread, Status};
use crate::report::{csv as lines, ktap as test};

/// For people: worst first, and only what changed.
#[must_use]
pub fn table(c: &KernelComparison) -> String {
    if c.rows.is_empty() {
        return summary(c);
    }
    let header = [
        "operation",
        "reason",
        "from",
        "traps A",
        "traps B",
        "factor",
        "updates A",
        "updates B",
        "writes A",
        "writes B",
    ];
    let rows = c.rows.iter().map(|r| {
        vec![
            r.label.clone(),
            reason(r).to_owned(),
            r.from().to_owned(),
            spread(r.a.traps),
            spread(r.b.traps),
            factor(r),
            spread(r.a.updates),
            spread(r.b.updates),
            spread(r.a.emulated_writes),
            spread(r.b.emulated_writes),
        ]
    });
    let grid = grid(header.map(str::to_owned).to_vec(), rows.collect(), 3);
    let causes: String = c.causes.iter().map(|line| format!("{line}\n")).collect();
    let sites = first_site(c).map_or(String::new(), |site| format!("{site}\n"));
    format!(
        "A = {} ({})\nB = {} ({})\n{causes}{sites}\n{grid}\n{}",
        c.a.report,
        c.a.release,
        c.b.report,
        c.b.release,
        summary(c)
    )
}

/// The way of the first row's traps.
fn first_site(c: &KernelComparison) -> Option<String> {
    let row = c.rows.first().filter(|r| r.change == Change::Worse)?;
    let site = row.b.site.as_ref()?;
    Some(format!(
        "{}: {} {} from {}",
        row.label,
        site.traps,
        site.kind,
        site.way()
    ))
}

/// For a mail or a pull request.
#[must_use]
pub fn markdown(c: &KernelComparison) -> String {
    let mut out = format!(
        "Xen PV page-table traps, {} → {}\n\n",
        c.a.release, c.b.release
    );
    for cause in &c.causes {
        out.push_str(&format!("- **{cause}**\n"));
    }
    if let Some(site) = first_site(c) {
        out.push_str(&format!("- {}\n", site.replace('<', "\\<")));
    }
    if !c.rows.is_empty() {
        out.push_str(&format!(
            "\n| operation | {} | {} | factor | reason | from |\n|---|---:|---:|---:|---|---|\n",
            c.a.release, c.b.release
        ));
    }
    for r in &c.rows {
        let from = match r.from() {
            "" => String::new(),
            from => format!("`{from}`"),
        };
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {from} |\n",
            r.label,
            spread(r.a.traps),
            spread(r.b.traps),
            factor(r),
            reason(r)
        ));
    }
    format!("{out}\n{}", summary(c))
}

fn reason(row: &KernelRow) -> &'static str {
    row.reason.map_or(row.change.name(), |reason| reason.name())
}

fn factor(row: &KernelRow) -> String {
    match row.a.traps.median {
        _ if row.b.status == Status::Failed => "-".to_owned(),
        0 if row.b.traps.median > 0 => "from 0".to_owned(),
        _ => format!("{:.2}x", row.factor()),
    }
}

fn spread(spread: Spread) -> String {
    match spread.is_exact() {
        true => spread.median.to_string(),
        false => format!("{}-{}", spread.min, spread.max),
    }
}

fn summary(c: &KernelComparison) -> String {
    let count = |change| c.rows.iter().filter(|r| r.change == change).count();
    let mut out = format!(
        "{} rows: {} worse, {} same, {} better; tolerance {}%\n",
        c.rows.len() + c.same,
        count(Change::Worse),
        c.same,
        count(Change::Better),
        c.tolerance_pct
    );
    for (name, only) in [("A", &c.only_a), ("B", &c.only_b)] {
        if !only.is_empty() {
            out.push_str(&format!("only in {name}: {}\n", only.join(", ")));
        }
    }
    out
}

/// A line a row that changed, worst first.
#[must_use]
pub fn csv(c: &KernelComparison) -> String {
    let header = [
        "operation",
        "pages",
        "depth",
        "change",
        "reason",
        "from",
        "traps_a",
        "traps_b",
        "updates_a",
        "updates_b",
        "emulated_writes_a",
        "emulated_writes_b",
    ];
    let rows = c.rows.iter().map(|r| {
        [
            r.operation.clone(),
            r.pages.to_string(),
            r.depth.to_string(),
            r.change.name().to_owned(),
            r.reason.map_or("", |reason| reason.name()).to_owned(),
            r.from().to_owned(),
            r.a.traps.median.to_string(),
            r.b.traps.median.to_string(),
            r.a.updates.median.to_string(),
            r.b.updates.median.to_string(),
            r.a.emulated_writes.median.to_string(),
            r.b.emulated_writes.median.to_string(),
        ]
    });
    lines::table(header, rows)
}

/// A test a row that changed, worst first; one that passes if none did.
#[must_use]
pub fn ktap(c: &KernelComparison) -> String {
    let mut rows: Vec<String> = Vec::new();
    for (r, number) in c.rows.iter().zip(1..) {
        let status = if r.change == Change::Worse {
            "not ok"
        } else {
            "ok"
        };
        let name = r.label.replace(' ', "/");
        rows.push(format!(
            "{status} {number} {name} # traps={} was={} writes={} was={}",
            r.b.traps.median,
            r.a.traps.median,
            r.b.emulated_writes.median,
            r.a.emulated_writes.median
        ));
    }
    if rows.is_empty() {
        rows.push(format!("ok 1 unchanged # rows={}", c.same));
    }
    test::document(&rows)
}
