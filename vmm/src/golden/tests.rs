//! The golden vectors, row by row.

use super::*;

/// Traps of a cell with 512 PTEs and Linux's buffer; the fate if it does not get through.
fn traps(workload: &str, policy: &str) -> Result<u64, Fate> {
    let e = expect(workload, policy, 512, Batch::Linux, 1);
    e.traps.ok_or(e.fate)
}

/// A row under 6.1, 6.12, the four of 7.x as intended, and 7.2 as shipped.
fn row(workload: &str, v6_1: u64, v6_12: u64, intended: u64, shipped: u64) {
    assert_eq!(traps(workload, "legacy-6.1"), Ok(v6_1), "{workload} 6.1");
    assert_eq!(traps(workload, "legacy-6.12"), Ok(v6_12), "{workload} 6.12");
    for policy in ["local-state-v2", "generic", "arch-pause", "with-ptes"] {
        assert_eq!(traps(workload, policy), Ok(intended), "{workload} {policy}");
    }
    assert_eq!(
        traps(workload, "generic-7.2"),
        Ok(shipped),
        "{workload} 7.2"
    );
}

#[test]
fn rows_1_to_8() {
    row("mprotect", 17, 17, 17, 512);
    row("fork", 17, 17, 17, 512);
    row("munmap", 0, 0, 0, 0);
    row("zap_swap", 17, 17, 17, 512);
    row("mremap", 17, 17, 17, 512);
    row("remap_pfn", 17, 17, 17, 512);
    row("vmap", 512, 512, 17, 512);
    row("vunmap", 0, 0, 0, 0);
}

#[test]
fn what_is_aged_is_written_in_place_or_not_at_all() {
    for (workload, writes) in [
        ("lru_gen_walk", 512),
        ("lru_gen_look_around", 64),
        ("lru_gen_walk_pmd", 0),
        ("madvise_cold", 512),
        ("madvise_pageout", 512),
    ] {
        let e = expect(workload, "generic", 512, Batch::Linux, 1);
        assert_eq!((e.traps, e.emulated_writes), (Some(0), Some(writes)));
    }
}

#[test]
fn an_allocation_in_zap_nests() {
    let enters = Err(Fate::Bug(api::BUG_ENTER));
    assert_eq!(traps("zap_pagealloc", "legacy-6.1"), enters);
    for policy in POLICIES.iter().filter(|p| **p != "legacy-6.1") {
        assert_eq!(traps("zap_pagealloc", policy), Ok(1), "{policy}");
    }
    let few = expect("zap_pagealloc", "legacy-6.1", 8, Batch::Linux, 1);
    assert_eq!((few.fate, few.traps), (Fate::Runs, Some(0)));
}

#[test]
fn rows_9_to_13() {
    row("madvise_cold", 17, 0, 0, 0);
    row("madvise_free", 17, 17, 17, 512);
    assert!(matches!(
        traps("pagemap_scan", "legacy-6.1"),
        Err(Fate::Skip(_))
    ));
    assert_eq!(traps("pagemap_scan", "legacy-6.12"), Ok(17));
    assert_eq!(traps("pagemap_scan", "generic"), Ok(17));
    assert_eq!(traps("pagemap_scan", "generic-7.2"), Ok(513));
    row("madvise_pageout", 17, 0, 0, 0);
    row("madvise_free_swap", 17, 17, 17, 512);
    row("migrate", 52, 52, 52, 1025);
    row("migrate_shared", 17, 17, 17, 513);
    row("kasan_populate", 17, 17, 512, 512);
    let hazard = expect("kasan_populate", "legacy-6.12", 512, Batch::Linux, 1);
    assert!(matches!(hazard.fate, Fate::Bug(_)));
}

#[test]
fn row_14_nest() {
    assert_eq!(traps("nest", "legacy-6.1"), Err(Fate::Bug(api::BUG_ENTER)));
    for policy in [
        "legacy-6.12",
        "local-state-v2",
        "generic",
        "arch-pause",
        "with-ptes",
    ] {
        assert_eq!(traps("nest", policy), Ok(17), "{policy}");
    }
    assert_eq!(traps("nest", "strip"), Ok(257));
    assert_eq!(traps("nest", "generic-7.2"), Ok(512));
}

#[test]
fn rows_15_and_16_switch() {
    row("switch", 18, 18, 18, 512);
    assert!(matches!(
        traps("switch_nested", "legacy-6.1"),
        Err(Fate::Bug(_))
    ));
    assert!(matches!(
        traps("switch_nested", "legacy-6.12"),
        Err(Fate::Bug(_))
    ));
    for policy in ["local-state-v2", "generic", "arch-pause", "with-ptes"] {
        assert_eq!(traps("switch_nested", policy), Ok(18), "{policy}");
    }
    assert_eq!(traps("switch_nested", "generic-7.2"), Ok(512));
}

#[test]
fn rows_17_and_18_interrupts() {
    row("irq", 18, 18, 18, 513);
    // Per-CPU modes read as none in the interrupt; 7.2's hook flushes there, if anything waits.
    for policy in ["legacy-6.1", "legacy-6.12", "local-state-v2", "generic"] {
        assert_eq!(traps("irq_flush", policy), Ok(17), "{policy}");
    }
    assert_eq!(traps("irq_flush", "with-ptes"), Ok(18));
    assert_eq!(traps("irq_flush", "generic-7.2"), Ok(512));
}

#[test]
fn hazards_are_where_what_waits_is_relied_upon() {
    let hazard = |workload, policy| {
        let e = expect(workload, policy, 512, Batch::Linux, 1);
        matches!(e.fate, Fate::Bug(name) if !name.starts_with("BUG_ON"))
    };
    for workload in ["rmw_reorder", "read_after_write", "failing_request"] {
        assert!(hazard(workload, "generic"), "{workload}");
        assert!(!hazard(workload, "eager"), "{workload}");
        assert!(!hazard(workload, "generic-7.2"), "{workload}");
    }
    assert!(hazard("bh_mismatch", "generic") && !hazard("bh_mismatch", "legacy-6.12"));
    assert!(hazard("madvise_resched", "legacy-6.1") && !hazard("madvise_resched", "generic"));
    assert!(hazard("kasan_depopulate", "legacy-6.1") && !hazard("kasan_depopulate", "generic"));
}

#[test]
fn what_stands_in_the_middle_of_a_section() {
    for (workload, generic, shipped) in [
        ("kernel_map_pages", 18, 513),
        ("vmalloc_fault", 18, 513),
        ("kmap_atomic", 19, 514),
        ("read_after_write", 18, 512),
        ("enable_in_pause", 25, 505),
        ("madvise_resched", 20, 512),
        ("vmap_error", 9, 256),
        ("preempt_window", 17, 512),
        ("resume_at_zero", 512, 512),
        ("depth_255", 17, 512),
        ("bh_mismatch", 16, 512),
    ] {
        assert_eq!(traps(workload, "generic"), Ok(generic), "{workload}");
        assert_eq!(
            traps(workload, "generic-7.2"),
            Ok(shipped),
            "{workload} 7.2"
        );
    }
    assert_eq!(traps("depth_255", "with-ptes"), Ok(512));
    assert_eq!(traps("enable_in_pause", "local-state-v2"), Ok(18));
    assert!(matches!(
        traps("resume_at_zero", "local-state-v2"),
        Err(Fate::Skip(_))
    ));
}

#[test]
fn two_vcpus_add_what_one_cannot_show() {
    for (workload, generic) in [("migrate_cpu", 18), ("two_writers", 18)] {
        assert!(matches!(traps(workload, "generic"), Err(Fate::Skip(_))));
        let e = expect(workload, "generic", 512, Batch::Linux, 2);
        assert_eq!(e.traps, Some(generic), "{workload}");
        let e = expect(workload, "generic-7.2", 512, Batch::Linux, 2);
        assert_eq!(e.traps, Some(512), "{workload}");
    }
}

#[test]
fn eager_traps_for_every_write_and_flush() {
    for (workload, expected) in [
        ("mprotect", 512),
        ("fork", 512),
        ("munmap", 0),
        ("pagemap_scan", 513),
        ("migrate", 1025),
        ("nest", 512),
        ("irq", 513),
    ] {
        assert_eq!(traps(workload, "eager"), Ok(expected), "{workload}");
    }
}

#[test]
fn ptes_and_batches() {
    for (ptes, expected) in [
        (1, 1),
        (31, 1),
        (32, 2),
        (63, 3),
        (256, 9),
        (512, 17),
        (1024, 34),
    ] {
        let e = expect("mprotect", "generic", ptes, Batch::Linux, 1);
        assert_eq!(e.traps, Some(expected), "{ptes}");
    }
    let e = expect("mprotect", "generic", 512, Batch::Updates(128), 1);
    assert_eq!(e.traps, Some(4));
}

#[test]
fn the_256th_generation_batches_again() {
    assert_eq!(traps("fork_then_section", "generic-7.2"), Ok(512));
    assert_eq!(traps("fork_then_section", "generic"), Ok(17));
    assert_eq!(traps("fork_depth_255", "generic-7.2"), Ok(17));
    assert_eq!(traps("fork_depth_255", "generic"), Ok(17));
}

#[test]
fn direct_writes_are_counted_apart() {
    let e = expect("fork", "generic", 512, Batch::Linux, 1);
    assert_eq!(e.emulated_writes, Some(512));
    let e = expect("mprotect", "generic", 512, Batch::Linux, 1);
    assert_eq!(e.emulated_writes, Some(0));
}

#[test]
fn batching_never_costs_traps() {
    for workload in WORKLOADS {
        for policy in POLICIES {
            for ptes in [1, 7, 8, 99, 100, 101, 512, 513] {
                let of = |policy| expect(workload, policy, ptes, Batch::Linux, 1);
                let (eager, this) = (of("eager"), of(policy));
                let same_site = !policy.starts_with("legacy");
                if let (true, Some(eager), Some(traps)) = (same_site, eager.traps, this.traps) {
                    assert!(traps <= eager, "{workload}/{policy} at {ptes}");
                }
            }
        }
    }
}

#[test]
fn strangers_are_unknown() {
    assert_eq!(
        expect("mprotect", "lazy", 1, Batch::Linux, 1).fate,
        Fate::Unknown
    );
    assert_eq!(
        expect("sleep", "eager", 1, Batch::Linux, 1).fate,
        Fate::Unknown
    );
}

#[test]
fn the_model_knows_every_cell_of_the_guest() {
    let workloads: Vec<&str> = guest::workloads().iter().map(|w| w.name).collect();
    let policies: Vec<&str> = guest::policies().iter().map(|p| p.name).collect();
    assert_eq!(workloads, WORKLOADS);
    assert_eq!(policies, POLICIES);
    for workload in WORKLOADS {
        for policy in POLICIES {
            let e = expect(workload, policy, 512, Batch::Linux, 2);
            assert_ne!(e.fate, Fate::Unknown, "{workload}/{policy}");
        }
    }
}
