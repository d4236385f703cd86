//! What is worse, what is noise, what is refused.

use super::*;
use crate::report::Host;
use crate::report::boot::{Ended, Guest};
use crate::report::json;
use crate::report::measure::{
    Kernel, MEASURE_SCHEMA, Minimum, Runner, Scope, Site, Spread, SymbolSource,
};

fn report(release: &str, rows: Vec<OperationRow>) -> MeasureReport {
    MeasureReport {
        schema: MEASURE_SCHEMA.into(),
        xenlet: Version::this(),
        host: Host::default(),
        guest: Guest {
            kernel: "vmlinuz".into(),
            initrd: None,
            cmdline: String::new(),
            mem_mib: 512,
            cpus: 1,
        },
        kernel: Kernel {
            release: release.into(),
            banner: String::new(),
            image: None,
            symbols: SymbolSource::Kallsyms,
            unwinder: "orc".into(),
        },
        runner: Some(Runner {
            name: "runner".into(),
            version: 1,
        }),
        repeat: 3,
        ended: Ended::Poweroff,
        detail: String::new(),
        wall_s: 1.0,
        boot_s: 1.0,
        results: rows,
    }
}

/// A row of so many traps, each repetition's, all with batches of `batch`.
fn row(operation: &str, traps: [u64; 3], batch: u64) -> OperationRow {
    let none = Spread::default();
    OperationRow {
        operation: operation.into(),
        pages: 512,
        depth: 0,
        scope: Scope::Task,
        status: Status::Measured,
        detail: String::new(),
        repetitions: 3,
        deterministic: true,
        traps: Spread::of(traps),
        updates: Spread::of([512; 3]),
        emulated_writes: none,
        other_hypercalls: none,
        elsewhere: none,
        faults: none,
        flushes: none,
        exits: none,
        time_us: none,
        by_hypercall: BTreeMap::new(),
        by_multicall_entry: BTreeMap::new(),
        batch_sizes: [(batch, traps[0])].into(),
        minimum: Minimum::of(512),
        winnable: 0,
        sites: vec![Site {
            kind: "mmu_update".into(),
            function: "change_pte_range".into(),
            chain: vec!["xen_mc_flush".into(), "change_pte_range".into()],
            traps: traps[0],
            updates: 512,
        }],
        sites_dropped: 0,
    }
}

fn good() -> MeasureReport {
    let rows = vec![row("munmap", [0; 3], 0), row("mprotect", [18; 3], 31)];
    report("6.12", rows)
}

fn compared(a: &MeasureReport, b: &MeasureReport) -> KernelComparison {
    compare(("a.json", a), ("b.json", b), 0.0).expect("comparable")
}

#[test]
fn lost_batching_comes_first_with_its_cause_and_site() {
    let mut bad = report(
        "7.2",
        vec![row("munmap", [1; 3], 1), row("mprotect", [513; 3], 1)],
    );
    bad.results[0].batch_sizes.clear();
    let c = compared(&good(), &bad);
    assert_eq!(c.exit(), Exit::CheckFailed);
    assert_eq!(c.rows[0].operation, "mprotect");
    assert_eq!(c.rows[0].reason, Some(Reason::LostBatching));
    let text = table(&c);
    let cause = "lazy batching inactive: batch size 1 where 31 was: 1 rows, 18 traps became 513; \
                 from change_pte_range\n";
    assert!(text.contains(cause), "{text}");
    assert!(text.contains("28.50x"), "{text}");
    assert!(markdown(&c).contains("| mprotect 512 | 18 | 513 | 28.50x | batching lost |"));
    assert!(csv(&c).contains("mprotect,512,0,worse,batching lost,change_pte_range,18,513"));
    assert!(ktap(&c).contains("not ok 1 mprotect/512 # traps=513 was=18"));
    assert!(json(&c).contains("\"reason\": \"lost_batching\""));
    let back = compared(&bad, &good());
    assert_eq!(back.exit(), Exit::Done);
    assert!(back.rows.iter().all(|r| r.change == Change::Better));
}

#[test]
fn the_same_kernel_again_has_nothing_to_say() {
    let mut again = good();
    again.results[1].traps = Spread::of([18, 19, 20]);
    let c = compared(&good(), &again);
    assert_eq!((c.exit(), c.rows.len(), c.same), (Exit::Done, 0, 2));
    assert_eq!(
        table(&c),
        "2 rows: 0 worse, 2 same, 0 better; tolerance 0%\n"
    );
}

#[test]
fn noise_is_the_widest_spread_of_rows_that_are_disturbed_alike() {
    let tasks = |name: &str, traps| OperationRow {
        scope: Scope::All,
        ..row(name, traps, 31)
    };
    let kernel = |fork, exec| report("6.12", vec![tasks("fork", fork), tasks("exec", exec)]);
    let a = kernel([70; 3], [267, 267, 269]);
    let exit = |fork| compared(&a, &kernel(fork, [267; 3])).exit();
    assert_eq!(exit([72; 3]), Exit::Done);
    assert_eq!(exit([73; 3]), Exit::CheckFailed);
    // Of rows of one task only those of the same operation.
    let mut a = a;
    a.results.push(row("mprotect", [18; 3], 31));
    let mut b = a.clone();
    b.results[2].traps = Spread::of([19; 3]);
    assert_eq!(compared(&a, &b).exit(), Exit::CheckFailed);
    let deep = |traps| OperationRow {
        depth: 1,
        ..row("mprotect", traps, 31)
    };
    a.results.push(deep([18, 18, 19]));
    b.results.push(deep([18; 3]));
    assert_eq!(compared(&a, &b).exit(), Exit::Done);
}

#[test]
fn rows_that_fail_are_worse_and_skipped_ones_are_named() {
    let mut b = good();
    b.results[1].status = Status::Failed;
    assert_eq!(compared(&good(), &b).rows[0].reason, Some(Reason::Failed));
    b.results[1].status = Status::Skipped;
    let c = compared(&good(), &b);
    assert_eq!(
        (c.exit(), c.only_a),
        (Exit::Done, vec!["mprotect 512".to_owned()])
    );
}

#[test]
fn what_is_not_of_the_same_operations_is_refused() {
    let refused = |b: &MeasureReport| {
        let e = compare(("a", &good()), ("b", b), 0.0).expect_err("refused");
        e.to_string()
    };
    let mut b = good();
    b.runner = None;
    assert!(refused(&b).starts_with("b: no runner ran"));
    b.runner = Some(Runner {
        name: "runner".into(),
        version: 2,
    });
    assert!(refused(&b).contains("runner 1, b by runner 2"));
    let mut b = good();
    b.guest.cpus = 2;
    assert!(refused(&b).contains("1 vCPUs, b of 2"));
    let mut b = good();
    b.results.push(b.results[0].clone());
    assert_eq!(refused(&b), "b: two rows for munmap 512");
    b.results.clear();
    assert!(refused(&b).contains("no measured row in common"));
}
