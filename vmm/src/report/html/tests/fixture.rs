//! Reports of few rows.

use super::super::Input;
use crate::report::boot::{Ended, Guest};
use crate::report::compare;
use crate::report::measure::{
    Kernel, MEASURE_SCHEMA, MeasureReport, Minimum, OperationRow, Runner, Scope, Site, Spread,
    Status, SymbolSource,
};
use crate::report::{Host, LabReport, Version, fixture};
use std::collections::BTreeMap;

/// A row whose traps carried so many updates each: (updates, traps).
pub(super) fn row(operation: &str, pages: u64, batches: &[(u64, u64)]) -> OperationRow {
    let exact = |n: u64| Spread::of([n]);
    let sum = |of: fn(&(u64, u64)) -> u64| batches.iter().map(of).fold(0, u64::saturating_add);
    let (traps, updates) = (sum(|b| b.1), sum(|b| b.0.saturating_mul(b.1)));
    let minimum = Minimum::of(updates);
    let site = Site {
        kind: "mmu_update".to_owned(),
        function: "change_pte_range".to_owned(),
        chain: vec!["xen_set_pte".to_owned(), "change_pte_range".to_owned()],
        traps,
        updates,
    };
    OperationRow {
        operation: operation.to_owned(),
        pages,
        depth: 0,
        scope: Scope::Task,
        status: Status::Measured,
        detail: String::new(),
        repetitions: 1,
        deterministic: true,
        traps: exact(traps),
        updates: exact(updates),
        emulated_writes: exact(7),
        other_hypercalls: exact(9),
        elsewhere: exact(0),
        faults: exact(3),
        flushes: exact(1),
        exits: exact(600),
        time_us: exact(4000),
        by_hypercall: BTreeMap::new(),
        by_multicall_entry: BTreeMap::new(),
        batch_sizes: batches.iter().copied().collect(),
        minimum,
        winnable: traps.saturating_sub(minimum.linux),
        sites: vec![site],
        sites_dropped: 0,
    }
}

/// A kernel with these rows, measured by runner `init 1`.
pub(super) fn kernel(name: &str, rows: &[OperationRow]) -> Input {
    let report = MeasureReport {
        schema: MEASURE_SCHEMA.to_owned(),
        xenlet: Version::this(),
        host: Host::default(),
        guest: Guest {
            kernel: "vmlinuz".to_owned(),
            initrd: None,
            cmdline: String::new(),
            mem_mib: 512,
            cpus: 1,
        },
        kernel: Kernel {
            release: name.to_owned(),
            banner: format!("Linux version {name}"),
            image: None,
            symbols: SymbolSource::Kallsyms,
            unwinder: "orc".to_owned(),
        },
        runner: Some(Runner {
            name: "init".to_owned(),
            version: 1,
        }),
        repeat: 1,
        ended: Ended::Poweroff,
        detail: String::new(),
        wall_s: 1.5,
        boot_s: 0.5,
        results: rows.to_vec(),
    };
    Input {
        file: format!("{name}.json"),
        report: compare::Input::Measure(Box::new(report)),
    }
}

/// A kernel that measured something else.
pub(super) fn other_kernel(name: &str) -> Input {
    kernel(name, &[row("fork", 512, &[(31, 17)])])
}

/// mprotect and munmap under eager and generic.
pub(super) fn lab() -> Input {
    Input {
        file: "lab.json".to_owned(),
        report: compare::Input::Lab(fixture::small()),
    }
}

/// Changes a measurement.
pub(super) fn report(input: &mut Input, change: impl FnOnce(&mut MeasureReport)) {
    match &mut input.report {
        compare::Input::Measure(report) => change(report),
        compare::Input::Lab(_) => panic!("no measurement"),
    }
}

/// Changes a lab report.
pub(super) fn lab_report(input: &mut Input, change: impl FnOnce(&mut LabReport)) {
    match &mut input.report {
        compare::Input::Lab(report) => change(report),
        compare::Input::Measure(_) => panic!("no lab report"),
    }
}
