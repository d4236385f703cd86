//! The lab as its users run it, on both backends: the published counts as a literal table that
//! shares nothing with the program's own model, sizes and batches, and what must be the same
//! wherever it is measured.

use std::process::ExitCode;
use std::sync::OnceLock;
use tests::runner::{self, Check, Checked};
use tests::runs::{config, lab, one, row, usable};
use xenlet::config::{Backend, Batch, LabConfig};
use xenlet::report::{FinalState, LabReport, ResultRow, Verdict};

const BACKENDS: [Backend; 2] = [Backend::Direct, Backend::Kvm];

/// Columns of [`TABLE`].
const POLICIES: [&str; 9] = [
    "legacy-6.1",
    "legacy-6.12",
    "local-state-v2",
    "generic",
    "arch-pause",
    "with-ptes",
    "strip",
    "generic-7.2",
    "eager",
];

/// Traps of 512 entries with Linux's buffer. `B`: the modelled kernel stops in a BUG; a number
/// with `!`: it serves stale data, and this is what it saves; `-`: it has no such call.
const TABLE: [(&str, [&str; 9]); 18] = [
    (
        "mprotect",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    (
        "fork",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    ("munmap", ["0", "0", "0", "0", "0", "0", "0", "0", "0"]),
    (
        "zap_swap",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    (
        "mremap",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    (
        "remap_pfn",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    (
        "vmap",
        ["512", "512", "17", "17", "17", "17", "17", "512", "512"],
    ),
    ("vunmap", ["0", "0", "0", "0", "0", "0", "0", "0", "0"]),
    (
        "madvise_cold",
        ["17", "0", "0", "0", "0", "0", "0", "0", "0"],
    ),
    (
        "madvise_free",
        ["17", "17", "17", "17", "17", "17", "17", "512", "512"],
    ),
    (
        "pagemap_scan",
        ["-", "17", "17", "17", "17", "17", "17", "513", "513"],
    ),
    (
        "migrate",
        ["52", "52", "52", "52", "52", "52", "52", "1025", "1025"],
    ),
    (
        "kasan_populate",
        [
            "17!", "17!", "512", "512", "512", "512", "17!", "512", "512",
        ],
    ),
    (
        "nest",
        ["B", "17", "17", "17", "17", "17", "257", "512", "512"],
    ),
    (
        "switch",
        ["18", "18", "18", "18", "18", "18", "18", "512", "512"],
    ),
    (
        "switch_nested",
        ["B", "B", "18", "18", "18", "18", "18", "512", "512"],
    ),
    (
        "irq",
        ["18", "18", "18", "18", "18", "18", "18", "513", "513"],
    ),
    (
        "irq_flush",
        ["17", "17", "17", "17", "18", "18", "17", "512", "512"],
    ),
];

/// Direct writes of the same cells, where there are any: trapped, emulated, not among the traps.
const EMULATED: [(&str, u64); 7] = [
    ("fork", 512),
    ("munmap", 512),
    ("mremap", 512),
    ("vunmap", 512),
    ("madvise_cold", 512),
    ("madvise_free", 512),
    ("migrate", 512),
];

fn main() -> ExitCode {
    let mut checks = Vec::new();
    for backend in BACKENDS {
        let mut check = |name: &str, f: fn(Backend)| {
            let run = move || usable(backend).map(|()| f(backend));
            checks.push(Check::new(format!("{name}/{}", backend.name()), run));
        };
        check("rows_1_to_18", rows_1_to_18);
        check("direct_writes_are_counted_apart", direct_writes);
        check("every_cell_is_as_its_model_says", every_cell);
        check("ptes_to_traps", ptes_to_traps);
        check("batch_to_traps", batch_to_traps);
        check("the_regression_is_gone_at_fork_depth_255", fork_depth);
        check("two_vcpus", two_vcpus);
        check("paranoid", paranoid);
    }
    checks.push(Check::new("both_backends_say_the_same", both_backends));
    runner::main(checks)
}

/// Everything × everything, run once a backend.
fn full(backend: Backend) -> &'static LabReport {
    static REPORTS: [OnceLock<LabReport>; 2] = [const { OnceLock::new() }; 2];
    REPORTS[backend as usize].get_or_init(|| lab(&config(backend)))
}

/// A row in the table's words.
fn face(row: &ResultRow) -> String {
    match row.verdict {
        Verdict::Pass => row.traps.to_string(),
        Verdict::Skip => "-".to_owned(),
        Verdict::Bug if row.detail.starts_with("BUG_ON") => "B".to_owned(),
        Verdict::Bug => format!("{}!", row.traps),
        bad => format!("{}: {}", bad.name(), row.detail),
    }
}

fn rows_1_to_18(backend: Backend) {
    for (workload, expected) in TABLE {
        let found = POLICIES.map(|policy| face(row(full(backend), workload, policy)));
        assert_eq!(found, expected, "{workload}, under {POLICIES:?}");
    }
}

fn direct_writes(backend: Backend) {
    for (workload, _) in TABLE {
        let found = row(full(backend), workload, "generic").emulated_writes;
        let expected = EMULATED.iter().find(|(name, _)| *name == workload);
        assert_eq!(found, expected.map_or(0, |(_, n)| *n), "{workload}");
    }
}

/// No cell fails, someone looked at each, and the counts of a row add up.
fn every_cell(backend: Backend) {
    let report = full(backend);
    let cells = guest::workloads().len() * guest::policies().len();
    assert_eq!(report.results.len(), cells);
    for row in &report.results {
        let cell = format!("{}/{}: {}", row.workload, row.policy, row.detail);
        assert!(!row.verdict.is_bad(), "{cell}");
        assert_eq!(row.final_state, FinalState::Ok, "{cell}");
        if row.verdict != Verdict::Skip {
            let looked = [row.checks.compared, row.checks.touched, row.checks.walked];
            assert!(looked.iter().all(|n| *n > 0), "{cell}: {looked:?}");
        }
        if row.verdict == Verdict::Pass {
            assert_eq!(Some(row.traps), row.expected_traps, "{cell}");
        }
        let reasons = row
            .flush_reasons
            .named()
            .iter()
            .map(|(_, n)| n)
            .sum::<u64>();
        assert_eq!(reasons, row.traps, "{cell}");
        assert_eq!(row.by_hypercall.values().sum::<u64>(), row.traps, "{cell}");
        assert_eq!(row.batch_sizes.values().sum::<u64>(), row.traps, "{cell}");
        let carried: u64 = row.batch_sizes.iter().map(|(size, n)| size * n).sum();
        assert_eq!(carried, row.updates, "{cell}");
    }
}

fn traps(config: LabConfig) -> u64 {
    let report = lab(&config);
    let row = &report.results[0];
    assert_eq!(row.verdict, Verdict::Pass, "{config:?}: {}", row.detail);
    row.traps
}

fn ptes_to_traps(backend: Backend) {
    for (ptes, expected) in [(1, 1), (31, 1), (32, 2), (63, 3), (256, 9), (512, 17)] {
        let config = LabConfig {
            ptes,
            ..one(backend, "mprotect", "generic")
        };
        assert_eq!(traps(config), expected, "{ptes} entries");
    }
}

fn batch_to_traps(backend: Backend) {
    for (batch, expected) in [(1, 512), (32, 16), (64, 8), (128, 4), (512, 1)] {
        let config = LabConfig {
            batch: Batch::Updates(batch),
            ..one(backend, "mprotect", "generic")
        };
        assert_eq!(traps(config), expected, "batch {batch}");
    }
}

/// 7.2 as shipped batches in no generation but the 256th.
fn fork_depth(backend: Backend) {
    let traps = |workload| row(full(backend), workload, "generic-7.2").traps;
    assert_eq!(
        ["mprotect", "fork_then_section", "fork_depth_255"].map(traps),
        [512, 512, 17]
    );
}

/// A section that goes on on another vCPU, and two of two vCPUs that write one table, one within the
/// other.
fn two_vcpus(backend: Backend) {
    let wanted = ["migrate_cpu", "two_writers"].map(str::to_owned).to_vec();
    let report = lab(&LabConfig {
        workloads: wanted,
        cpus: 2,
        ..config(backend)
    });
    for row in &report.results {
        let stays = row.workload == "migrate_cpu" && backend == Backend::Direct;
        let batches = !matches!(&*row.policy, "eager" | "generic-7.2");
        let expected = match (stays, batches) {
            (true, _) => "-",
            (false, true) => "18",
            (false, false) => "512",
        };
        assert_eq!(face(row), expected, "{}/{}", row.workload, row.policy);
    }
}

/// Recounted as it runs, every cell is what it is otherwise.
fn paranoid(backend: Backend) {
    let wanted = ["mprotect", "fork", "migrate"].map(str::to_owned).to_vec();
    let report = lab(&LabConfig {
        workloads: wanted,
        paranoid: true,
        cpus: 2,
        ..config(backend)
    });
    for row in &report.results {
        let expected = face(self::row(full(backend), &row.workload, &row.policy));
        assert_eq!(face(row), expected, "{}/{}", row.workload, row.policy);
    }
}

/// But for where it ran, a report does not depend on it.
fn both_backends() -> Checked {
    usable(Backend::Kvm)?;
    let [direct, kvm] = BACKENDS.map(|backend| {
        let mut report = full(backend).clone();
        report.host = Default::default();
        for row in &mut report.results {
            row.backend = Backend::default();
        }
        report
    });
    for (direct, kvm) in direct.results.iter().zip(&kvm.results) {
        assert_eq!(direct, kvm);
    }
    assert_eq!(xenlet::report::json(&direct), xenlet::report::json(&kvm));
    Ok(())
}
