//! `xenlet list`: workloads, policies and a kernel's operations, a line each.

use super::super::names::{Named, operations, policies, workloads};
use super::super::output::Output;
use super::super::{Exit, Failure};
use serde::Serialize;
use xenlet::report::{Format, json};

#[derive(Debug, Serialize)]
struct List {
    schema: &'static str,
    workloads: Vec<Line>,
    policies: Vec<Line>,
    operations: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    models: &'static str,
}

impl List {
    fn new() -> List {
        let lines = |named: Vec<Named>| {
            let line = |Named { name, models }| Line { name, models };
            named.into_iter().map(line).collect()
        };
        List {
            schema: "xenlet.list/1",
            workloads: lines(workloads()),
            policies: lines(policies()),
            operations: lines(operations()),
        }
    }

    fn groups(&self) -> [(&'static str, &[Line]); 3] {
        [
            ("workload", &self.workloads),
            ("policy", &self.policies),
            ("operation", &self.operations),
        ]
    }

    fn table(&self) -> String {
        let width = self
            .groups()
            .iter()
            .flat_map(|(_, lines)| *lines)
            .map(|l| l.name.len())
            .max();
        let width = width.unwrap_or(0);
        let group = |(kind, lines): (&str, &[Line])| {
            let line = |l: &Line| {
                format!("  {:width$}  {}", l.name, l.models)
                    .trim_end()
                    .to_owned()
            };
            let lines: Vec<String> = lines.iter().map(line).collect();
            format!("--{kind}\n{}\n", lines.join("\n"))
        };
        self.groups().map(group).join("\n")
    }

    fn csv(&self) -> String {
        let mut out = "kind,name,models\n".to_owned();
        for (kind, lines) in self.groups() {
            for l in lines {
                out.push_str(&format!(
                    "{kind},{},\"{}\"\n",
                    l.name,
                    l.models.replace('"', "\"\"")
                ));
            }
        }
        out
    }
}

/// Prints the list.
pub(in super::super) fn list(output: &Output) -> Result<Exit, Failure> {
    output.no_ktap("list")?;
    let list = List::new();
    output.write(&match output.format {
        Format::Json => json(&list),
        Format::Csv => list.csv(),
        Format::Table | Format::Ktap | Format::Markdown => list.table(),
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_line() {
        let list = List::new();
        let names = list
            .groups()
            .map(|(_, lines)| lines.len())
            .iter()
            .sum::<usize>();
        assert_eq!(list.csv().lines().count(), 1 + names);
        assert_eq!(list.table().lines().count(), 5 + names);
        assert!(list.table().starts_with("--workload\n  mprotect"));
    }
}
