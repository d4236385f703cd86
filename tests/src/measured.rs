//! Measurements of kernels without kernels: rows with counts that are given, for what is made of
//! reports.

use std::collections::BTreeMap;
use xenlet::report::boot::{Ended, Guest};
use xenlet::report::measure::{
    Kernel, MEASURE_SCHEMA, MeasureReport, Minimum, OperationRow, Runner, Scope, Site, Spread,
    Status, SymbolSource,
};
use xenlet::report::{Host, Version};

/// A kernel with these rows.
pub fn kernel(release: &str, results: Vec<OperationRow>) -> MeasureReport {
    MeasureReport {
        schema: MEASURE_SCHEMA.to_owned(),
        xenlet: Version::this(),
        host: Host::here(),
        guest: Guest {
            kernel: "vmlinuz".to_owned(),
            initrd: None,
            cmdline: String::new(),
            mem_mib: 512,
            cpus: 1,
        },
        kernel: Kernel {
            release: release.to_owned(),
            banner: format!("Linux version {release} (builder@example.org)"),
            image: None,
            symbols: SymbolSource::Kallsyms,
            unwinder: "orc".to_owned(),
        },
        runner: Some(Runner {
            name: "init".to_owned(),
            version: 1,
        }),
        repeat: 3,
        ended: Ended::Poweroff,
        detail: String::new(),
        wall_s: 30.0,
        boot_s: 2.0,
        results,
    }
}

/// A row whose traps carried so many updates each: (updates, traps), all from `function`.
pub fn row(operation: &str, pages: u64, function: &str, batches: &[(u64, u64)]) -> OperationRow {
    let exact = |n: u64| Spread::of([n]);
    let traps = batches.iter().map(|(_, traps)| traps).sum();
    let updates = batches.iter().map(|(size, traps)| size * traps).sum();
    let minimum = Minimum::of(updates);
    OperationRow {
        operation: operation.to_owned(),
        pages,
        depth: 0,
        scope: Scope::Task,
        status: Status::Measured,
        detail: String::new(),
        repetitions: 3,
        deterministic: true,
        traps: exact(traps),
        updates: exact(updates),
        emulated_writes: exact(pages / 2),
        other_hypercalls: Spread::of([5, 9, 11]),
        elsewhere: exact(0),
        faults: exact(pages),
        flushes: exact(1),
        exits: Spread::of([traps + 20, traps + 22, traps + 40]),
        time_us: Spread::of([1000, 1100, 4000]),
        by_hypercall: BTreeMap::from([("mmu_update".to_owned(), traps)]),
        by_multicall_entry: BTreeMap::new(),
        batch_sizes: batches.iter().copied().collect(),
        minimum,
        winnable: traps.saturating_sub(minimum.linux),
        sites: vec![site(function, traps, updates)],
        sites_dropped: 0,
    }
}

fn site(function: &str, traps: u64, updates: u64) -> Site {
    let chain = ["xen_set_pte", function, "do_syscall_64"];
    Site {
        kind: "mmu_update".to_owned(),
        function: function.to_owned(),
        chain: chain.map(str::to_owned).to_vec(),
        traps,
        updates,
    }
}

/// `row` as a kernel has it that lacks the operation.
pub fn skipped(row: &OperationRow) -> OperationRow {
    let mut row = self::row(&row.operation, row.pages, "", &[]);
    row.status = Status::Skipped;
    row.detail = "this kernel has no such call".to_owned();
    row.sites.clear();
    row
}
