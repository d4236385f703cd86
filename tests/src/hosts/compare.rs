//! Whether two hosts' lab reports say the same, the host itself aside.
//!
//! In: two reports as JSON. Out: the cells that differ, the first differing field of each named.

use serde_json::Value;

/// What names a cell.
const KEY: [&str; 4] = ["workload", "policy", "batch", "ptes"];
/// What may differ between hosts that agree.
const HOST: [&str; 2] = ["backend", "cpus"];

/// The differences between two reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Cells of the second report.
    pub cells: usize,
    /// A line for each cell that differs, or is in one report only.
    pub differences: Vec<String>,
}

/// Compares a host's report with the reference.
///
/// A cell that the reference had to skip, for want of a second vCPU, is there to compare with
/// nothing: the lab on the host has judged it by its own expectations, and by its exit code.
#[must_use]
pub fn compare(reference: &Value, host: &Value) -> Comparison {
    let (wanted, found) = (cells(reference), cells(host));
    let mut differences: Vec<String> = found
        .iter()
        .filter_map(
            |cell| match wanted.iter().find(|other| name(other) == name(cell)) {
                None => Some(format!("{}: not in the reference", name(cell))),
                Some(other) if other["verdict"] == "skip" => None,
                Some(other) => differing_field(other, cell),
            },
        )
        .collect();
    let lacks = |cell: &&Value| !found.iter().any(|other| name(other) == name(cell));
    differences.extend(
        wanted
            .iter()
            .filter(lacks)
            .map(|cell| format!("{}: missing", name(cell))),
    );
    Comparison {
        cells: found.len(),
        differences,
    }
}

fn cells(report: &Value) -> &[Value] {
    report["results"].as_array().map_or(&[], Vec::as_slice)
}

fn name(cell: &Value) -> String {
    let text = |key| {
        cell[key]
            .as_str()
            .map_or_else(|| cell[key].to_string(), str::to_owned)
    };
    KEY.map(text).join("/")
}

fn differing_field(wanted: &Value, found: &Value) -> Option<String> {
    let fields = wanted.as_object()?.keys().chain(found.as_object()?.keys());
    let mut compared = fields.filter(|field| !HOST.contains(&field.as_str()));
    let field = compared.find(|field| wanted.get(field) != found.get(field))?;
    Some(format!(
        "{}: {field} {}, not {}",
        name(found),
        found[field],
        wanted[field]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(cells: &[(&str, u64, &str)]) -> Value {
        let cell = |&(workload, traps, verdict): &(&str, u64, &str)| {
            json!({"workload": workload, "policy": "eager", "batch": "linux", "ptes": 512,
                   "backend": workload.len() + cells.len(), "traps": traps, "verdict": verdict})
        };
        json!({ "results": cells.iter().map(cell).collect::<Vec<_>>() })
    }

    #[test]
    fn equal_but_for_the_host() {
        let one = report(&[("a", 1, "pass"), ("b", 2, "skip")]);
        let two = report(&[("a", 1, "pass"), ("b", 9, "pass")]);
        assert_eq!(
            compare(&one, &two),
            Comparison {
                cells: 2,
                differences: vec![]
            }
        );
    }

    #[test]
    fn a_count_a_missing_and_a_further_cell_are_differences() {
        let one = report(&[("a", 1, "pass"), ("b", 2, "pass")]);
        let two = report(&[("a", 3, "pass"), ("c", 2, "pass")]);
        let lines = compare(&one, &two).differences;
        let wanted = [
            "a/eager/linux/512: traps 3, not 1",
            "c/eager/linux/512: not in the reference",
            "b/eager/linux/512: missing",
        ];
        assert_eq!(lines, wanted);
    }
}
