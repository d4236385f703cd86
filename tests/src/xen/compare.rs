//! One party's answers beside the reference's.

use super::Verdict;
use std::collections::BTreeMap;
use std::fmt;

/// Answers by probe; a probe that was not asked has none.
#[must_use]
pub fn answers(verdicts: &[Verdict]) -> BTreeMap<&str, &str> {
    let asked = verdicts.iter().filter(|v| v.skipped().is_none());
    asked.map(|v| (&*v.name, &*v.answer)).collect()
}

/// A comparison: each difference with both answers.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Who was compared.
    pub party: &'static str,
    /// How many answers there should be.
    pub rows: usize,
    /// Those that differ, are missing, or are to a question nobody else was asked.
    pub differences: Vec<String>,
}

impl Comparison {
    /// Compares a party's answers with what is expected of it.
    #[must_use]
    pub fn new(
        party: &'static str,
        verdicts: &[Verdict],
        expected: &BTreeMap<&str, &str>,
    ) -> Comparison {
        let found = answers(verdicts);
        let strange = found.keys().filter(|probe| !expected.contains_key(*probe));
        let mut differences: Vec<String> = strange
            .map(|probe| format!("{probe}: {party} alone was asked"))
            .collect();
        for (probe, expected) in expected {
            let found = found.get(probe).unwrap_or(&"no answer");
            if found != expected {
                differences.push(format!("{probe}: {party} {found}; expected {expected}"));
            }
        }
        Comparison {
            party,
            rows: expected.len(),
            differences,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = self.rows.saturating_sub(self.differences.len());
        write!(f, "{} {right}/{}", self.party, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdicts;
    use super::*;

    #[test]
    fn wrong_missing_skipped_and_strange_answers_are_differences() {
        let expected = verdicts("probe a rc=0\nprobe b rc=1\nprobe c rc=2\nprobe d rc=3");
        let party = verdicts("probe a rc=0\nprobe b rc=9\nprobe c skip no memory\nprobe e rc=1");
        let compared = Comparison::new("kvm", &party, &answers(&expected));
        assert_eq!(
            compared.differences,
            [
                "e: kvm alone was asked",
                "b: kvm rc=9; expected rc=1",
                "c: kvm no answer; expected rc=2",
                "d: kvm no answer; expected rc=3",
            ]
        );
        assert_eq!(compared.to_string(), "kvm 0/4");
        let same = Comparison::new("xen", &expected, &answers(&expected));
        assert_eq!(
            (same.to_string().as_str(), same.differences.len()),
            ("xen 4/4", 0)
        );
    }
}
