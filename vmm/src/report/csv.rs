//! Reports as CSV (RFC 4180, but with plain newlines): a header line and a line a row.

use super::{LabReport, ResultRow};

/// Writes one table: a header line, then the rows.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut out = header.join(",");
    out.push('\n');
    for row in rows {
        out.push_str(&row.map(|field| quoted(&field)).join(","));
        out.push('\n');
    }
    out
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

const COLUMNS: [&str; 20] = [
    "workload",
    "policy",
    "batch",
    "backend",
    "cpus",
    "ptes",
    "traps",
    "expected_traps",
    "updates",
    "emulated_writes",
    "final_state",
    "verdict",
    "disable",
    "nested_disable",
    "arch_flush",
    "pause",
    "context_switch",
    "full",
    "immediate",
    "detail",
];

/// A lab report: a line a cell, the flush reasons a column each.
#[must_use]
pub fn lab(report: &LabReport) -> String {
    table(COLUMNS, report.results.iter().map(fields))
}

fn fields(row: &ResultRow) -> [String; 20] {
    let [disable, nested, arch, pause, switch, full, immediate] = row
        .flush_reasons
        .named()
        .map(|(_, calls)| calls.to_string());
    [
        row.workload.clone(),
        row.policy.clone(),
        row.batch.to_string(),
        row.backend.name().to_owned(),
        row.cpus.to_string(),
        row.ptes.to_string(),
        row.traps.to_string(),
        row.expected_traps
            .map(|n| n.to_string())
            .unwrap_or_default(),
        row.updates.to_string(),
        row.emulated_writes.to_string(),
        super::table::state(row.final_state).to_owned(),
        row.verdict.name().to_owned(),
        disable,
        nested,
        arch,
        pause,
        switch,
        full,
        immediate,
        row.detail.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_cell() {
        let text = lab(&super::super::fixture::small());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(
            lines[2],
            "mprotect,generic,linux,direct,1,512,17,17,512,0,ok,pass,1,0,0,0,0,16,0,"
        );
        assert_eq!(
            lines[4],
            "remap_pfn,generic,linux,direct,1,512,18,17,512,0,ok,fail,1,0,0,0,0,17,0,\
             \"18 traps, the model expects 17\""
        );
    }

    #[test]
    fn fields_that_would_break_a_line_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
