//! Fixed inputs for this module's tests.

use super::{CellReport, Host, LabReport, Verdict, assemble::assemble};
use crate::config::{Backend, Batch, LabConfig};
use hypercalls::lab::Text;

pub(super) fn config(workloads: &[&str], policies: &[&str]) -> LabConfig {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    LabConfig {
        workloads: owned(workloads),
        policies: owned(policies),
        ptes: 512,
        batch: Batch::Linux,
        cpus: 1,
        backend: Backend::Direct,
        kernel: None,
        time_limit_s: 60,
        verbose: false,
        paranoid: false,
        poison: false,
        #[cfg(feature = "mutants")]
        mutant: None,
    }
}

/// A cell in which `traps` hypercalls carried `updates` updates, all but one of them full.
pub(super) fn cell(workload: &str, policy: &str, traps: u64, updates: u64) -> CellReport {
    let mut cell = CellReport {
        traps,
        updates,
        checked: updates,
        ..CellReport::default()
    };
    cell.result.workload = Text::new(workload);
    cell.result.policy = Text::new(policy);
    cell.result.ptes = 512;
    cell.result.updates = updates;
    cell.result.compared = 512;
    cell.flush_reasons[1] = traps.min(1);
    cell.flush_reasons[6] = traps.saturating_sub(1);
    cell.result.calls = cell.flush_reasons;
    if traps > 0 {
        cell.by_hypercall.insert("mmu_update".to_owned(), traps);
    }
    cell
}

/// A report whose host says nothing.
pub(super) fn report(workloads: &[&str], policies: &[&str], cells: &[CellReport]) -> LabReport {
    assemble(&config(workloads, policies), cells, Host::default(), None)
}

/// mprotect and munmap under eager and generic, and a row that fails.
pub(super) fn small() -> LabReport {
    let mut munmap = [
        cell("munmap", "eager", 0, 0),
        cell("munmap", "generic", 0, 0),
    ];
    for c in &mut munmap {
        (c.emulated_writes, c.result.emulated_writes) = (512, 512);
    }
    let [a, b] = munmap;
    let cells = [
        cell("mprotect", "eager", 512, 512),
        cell("mprotect", "generic", 17, 512),
        cell("remap_pfn", "eager", 512, 512),
        cell("remap_pfn", "generic", 18, 512),
        a,
        b,
    ];
    let report = report(
        &["mprotect", "remap_pfn", "munmap"],
        &["eager", "generic"],
        &cells,
    );
    debug_assert_eq!(report.results[3].verdict, Verdict::Fail);
    report
}
