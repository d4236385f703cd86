//! Lab runs in this process. Comes in: what to run; goes out: the report. A run that was made is
//! not made again.

use crate::runner::Skip;
use xenlet::config::{Backend, Batch, LabConfig};
use xenlet::progress::Quiet;
use xenlet::report::{LabReport, ResultRow};

/// Set to anything, this host counts as one without /dev/kvm.
pub const NO_KVM: &str = "XENLET_TEST_NO_KVM";

/// Whether KVM can be used here. A device that answers must work: whatever fails then is a
/// failure.
///
/// # Errors
/// If there is no device that answers.
pub fn kvm() -> Result<(), Skip> {
    if xenlet::kvm::device().is_err() || std::env::var_os(NO_KVM).is_some() {
        return Err(Skip("no /dev/kvm".to_owned()));
    }
    Ok(())
}

/// Whether `backend` can be used here.
///
/// # Errors
/// If it is KVM and there is none.
pub fn usable(backend: Backend) -> Result<(), Skip> {
    match backend {
        Backend::Kvm => kvm(),
        Backend::Direct => Ok(()),
    }
}

/// Everything × everything with Linux's buffer on `backend`; narrow it from there.
pub fn config(backend: Backend) -> LabConfig {
    LabConfig {
        workloads: guest::workloads()
            .iter()
            .map(|w| w.name.to_owned())
            .collect(),
        policies: guest::policies()
            .iter()
            .map(|p| p.name.to_owned())
            .collect(),
        ptes: 512,
        batch: Batch::Linux,
        cpus: 1,
        backend,
        kernel: None,
        time_limit_s: 120,
        verbose: false,
        paranoid: false,
        poison: false,
    }
}

/// One workload under one policy.
pub fn one(backend: Backend, workload: &str, policy: &str) -> LabConfig {
    LabConfig {
        workloads: vec![workload.to_owned()],
        policies: vec![policy.to_owned()],
        ..config(backend)
    }
}

/// Runs it.
///
/// # Panics
/// If there is no report.
pub fn lab(config: &LabConfig) -> LabReport {
    xenlet::lab::run(config, &mut Quiet).unwrap_or_else(|e| panic!("{config:?}: {e}"))
}

/// The row of a cell.
///
/// # Panics
/// If the report has none.
pub fn row<'a>(report: &'a LabReport, workload: &str, policy: &str) -> &'a ResultRow {
    let found = |r: &&ResultRow| r.workload == workload && r.policy == policy;
    let row = report.results.iter().find(found);
    row.unwrap_or_else(|| panic!("no row for {workload}/{policy}"))
}
