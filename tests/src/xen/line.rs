//! What the guest's lines say: a probe's verdict, a cell's counts.

use std::fmt;

/// What the hypervisor answered to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The probe.
    pub name: String,
    /// The answer, or `skip` and why.
    pub answer: String,
}

impl Verdict {
    /// Why it was not asked.
    #[must_use]
    pub fn skipped(&self) -> Option<&str> {
        self.answer.strip_prefix("skip ")
    }
}

/// Every verdict on a console, in the order of the table.
#[must_use]
pub fn verdicts(console: &str) -> Vec<Verdict> {
    let parse = |line: &str| {
        let (name, answer) = line.trim_end().strip_prefix("probe ")?.split_once(' ')?;
        Some(Verdict {
            name: name.to_owned(),
            answer: answer.to_owned(),
        })
    };
    console.lines().filter_map(parse).collect()
}

/// What a cell came to: by the guest's own counts, or by the hypervisor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Workload and policy.
    pub name: String,
    /// What became of it.
    pub outcome: String,
    /// Hypercalls in sections.
    pub traps: u64,
    /// Page-table updates in them.
    pub updates: u64,
    /// Direct writes to live tables.
    pub emulated: u64,
    /// Entries and pages that were not as the model says.
    pub differing: u64,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} traps {} updates {} emulated {} differing {}",
            self.outcome, self.traps, self.updates, self.emulated, self.differing
        )
    }
}

/// Every cell on a console, in the order of the plan.
#[must_use]
pub fn cells(console: &str) -> Vec<Cell> {
    console.lines().filter_map(cell).collect()
}

/// `lab: W P: OUTCOME traps T updates U emulated E differing D ...`.
fn cell(line: &str) -> Option<Cell> {
    let (name, rest) = line.strip_prefix("lab: ")?.split_once(": ")?;
    let mut words = rest.split(' ');
    let outcome = words.next()?.to_owned();
    let mut count = |what| (words.next()? == what).then(|| words.next()?.parse().ok())?;
    Some(Cell {
        name: name.to_owned(),
        outcome,
        traps: count("traps")?,
        updates: count("updates")?,
        emulated: count("emulated")?,
        differing: count("differing")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probes_line() {
        let found =
            verdicts("x\nprobe a rc=-22 done=0 value=-\nprobe b skip a reason\r\nprobe c\n");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (&*found[0].name, &*found[0].answer),
            ("a", "rc=-22 done=0 value=-")
        );
        assert_eq!(
            (found[0].skipped(), found[1].skipped()),
            (None, Some("a reason"))
        );
    }

    #[test]
    fn a_cells_line() {
        let line = "lab: munmap eager: ran traps 1 updates 2 emulated 3 differing 4 BUG: x";
        let cell = cells(line).pop().expect("a cell");
        assert_eq!(cell.name, "munmap eager");
        assert_eq!(
            cell.to_string(),
            "ran traps 1 updates 2 emulated 3 differing 4"
        );
        assert_eq!(cells("lab: no workload is called x"), []);
    }
}
