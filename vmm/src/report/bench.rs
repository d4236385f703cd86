//! Floors and costs side by side: `xenlet bench`'s report, schema `xenlet.bench/1`.

use super::csv;
use super::grid::grid;
use super::{Host, Version};
use crate::exit::Exit;
use serde::{Deserialize, Serialize};

/// The bench's schema.
pub const BENCH_SCHEMA: &str = "xenlet.bench/1";

/// One thing measured, beside this host's floor for it in the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// The unit of `value` and `floor`.
    pub unit: String,
    /// The median.
    pub value: f64,
    /// How many samples.
    pub n: u64,
    /// The interquartile range.
    pub spread: f64,
    /// What the host takes for the least that would do, measured in the same run.
    pub floor: Option<f64>,
    /// The most that `value / floor` may be, or `value` if there is no floor.
    pub limit: Option<f64>,
}

impl Measure {
    /// `value / floor`.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.floor
            .filter(|f| *f > 0.0)
            .map(|floor| self.value / floor)
    }

    /// Whether the limit, if any, holds.
    #[must_use]
    pub fn within(&self) -> bool {
        let measured = self.ratio().unwrap_or(self.value);
        self.limit.is_none_or(|limit| measured <= limit)
    }
}

/// A bench run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// [`BENCH_SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub xenlet: Version,
    /// Where it was made.
    pub host: Host,
    /// What was measured.
    pub measures: Vec<Measure>,
}

impl BenchReport {
    /// A report of this program's.
    #[must_use]
    pub fn new(host: Host, measures: Vec<Measure>) -> BenchReport {
        BenchReport {
            schema: BENCH_SCHEMA.to_owned(),
            xenlet: Version::this(),
            host,
            measures,
        }
    }

    /// How the process should end: 1 if a limit is passed.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.measures.iter().all(Measure::within) {
            true => Exit::Done,
            false => Exit::CheckFailed,
        }
    }

    fn rows(&self) -> impl Iterator<Item = [String; 9]> {
        let number = |n: Option<f64>| n.map(|n| format!("{n:.3}")).unwrap_or_default();
        self.measures.iter().map(move |m| {
            [
                m.name.clone(),
                m.unit.clone(),
                format!("{:.3}", m.value),
                format!("{:.3}", m.spread),
                m.n.to_string(),
                number(m.floor),
                number(m.ratio()),
                number(m.limit),
                if m.within() { "ok" } else { "over" }.to_owned(),
            ]
        })
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let header = [
            "measure", "unit", "median", "iqr", "n", "floor", "ratio", "limit", "",
        ];
        let rows = self.rows().map(|row| row.to_vec()).collect();
        grid(header.map(str::to_owned).to_vec(), rows, 2)
    }

    /// A line a measure.
    #[must_use]
    pub fn csv(&self) -> String {
        let header = [
            "name", "unit", "value", "spread", "n", "floor", "ratio", "limit", "verdict",
        ];
        csv::table(header, self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(value: f64, floor: Option<f64>, limit: Option<f64>) -> Measure {
        Measure {
            name: "round trip".to_owned(),
            unit: "us".to_owned(),
            value,
            n: 100,
            spread: 0.5,
            floor,
            limit,
        }
    }

    #[test]
    fn a_limit_is_on_the_ratio_or_on_the_value() {
        assert!(measure(11.0, Some(10.0), Some(1.15)).within());
        assert!(!measure(12.0, Some(10.0), Some(1.15)).within());
        assert!(measure(19.0, None, Some(20.0)).within());
        assert!(!measure(21.0, None, Some(20.0)).within());
        assert!(measure(1e9, None, None).within());
        let report = BenchReport::new(Host::default(), vec![measure(12.0, Some(10.0), Some(1.15))]);
        assert_eq!(report.exit(), Exit::CheckFailed);
        let line = "round trip,us,12.000,0.500,100,10.000,1.200,1.150,over";
        assert_eq!(report.csv().lines().nth(1), Some(line));
        assert!(report.table().contains("1.200"));
    }
}
