//! What a host can do: `xenlet doctor`'s report, schema `xenlet.doctor/1`.

use super::Version;
use super::csv;
use super::grid::grid;
use crate::exit::Exit;
use serde::{Deserialize, Serialize};

/// The doctor's schema.
pub const DOCTOR_SCHEMA: &str = "xenlet.doctor/1";

/// How a finding bears on running guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be, or a fact.
    Ok,
    /// Absent; guests run without it.
    Absent,
    /// Absent, and no guest runs without it.
    Missing,
}

impl Status {
    /// The report's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Absent => "absent",
            Status::Missing => "missing",
        }
    }
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it bears on running guests.
    pub status: Status,
    /// What was found: a version, a number, the strategy chosen.
    pub value: String,
    /// Why that strategy, or how to get what is missing.
    pub detail: String,
}

/// A host's examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// [`DOCTOR_SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub xenlet: Version,
    /// What was found, in the order of looking.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// A report of this program's.
    #[must_use]
    pub fn new(findings: Vec<Finding>) -> DoctorReport {
        DoctorReport {
            schema: DOCTOR_SCHEMA.to_owned(),
            xenlet: Version::this(),
            findings,
        }
    }

    /// How the process should end: 3 if no guest can run here.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.findings.iter().any(|f| f.status == Status::Missing) {
            true => Exit::Host,
            false => Exit::Done,
        }
    }

    fn rows(&self) -> impl Iterator<Item = [String; 4]> {
        self.findings.iter().map(|f| {
            let status = f.status.name().to_owned();
            [f.what.clone(), status, f.value.clone(), f.detail.clone()]
        })
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let header = ["what", "status", "found", "why, or what to do"].map(str::to_owned);
        let rows = self.rows().map(|row| row.to_vec()).collect();
        let verdict = match self.exit() {
            Exit::Done => "this host can run guests",
            _ => "this host cannot run guests on KVM; --backend direct needs none",
        };
        format!("{}\n{verdict}\n", grid(header.to_vec(), rows, 4))
    }

    /// A line a finding.
    #[must_use]
    pub fn csv(&self) -> String {
        csv::table(["what", "status", "value", "detail"], self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(what: &str, status: Status) -> Finding {
        let (value, detail) = ("12".to_owned(), "because".to_owned());
        Finding {
            what: what.to_owned(),
            status,
            value,
            detail,
        }
    }

    #[test]
    fn only_what_is_missing_stops_a_host() {
        let fine = DoctorReport::new(vec![
            finding("api", Status::Ok),
            finding("xen", Status::Absent),
        ]);
        assert_eq!(fine.exit(), Exit::Done);
        assert!(fine.table().ends_with("\nthis host can run guests\n"));
        assert_eq!(fine.csv().lines().nth(1), Some("api,ok,12,because"));
        let ill = DoctorReport::new(vec![finding("/dev/kvm", Status::Missing)]);
        assert_eq!(ill.exit(), Exit::Host);
    }
}
