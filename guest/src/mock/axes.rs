//! The axes, one by one, and what each changes about a cell.

use super::golden::{run, run_on};
use super::{Cellular, Mock};
use hypercalls::lab::{Cause, Outcome};
use hypercalls::{Pte, Vaddr};

fn one(plan: &str) -> Cellular {
    run(plan).swap_remove(0)
}

fn right(cell: &Cellular) -> bool {
    let r = &cell.result;
    r.outcome == Outcome::Ran as u32 && r.differing + r.mistouched == 0
}

#[test]
fn without_merging_each_update_is_an_entry() {
    let cell = one("workload=zap_swap policy=generic merge=off");
    assert!(right(&cell));
    assert_eq!(cell.counts.by_name["multicall"], 17);
}

#[test]
fn a_reordering_back_end_lets_the_flush_overtake() {
    let cell = one("workload=pagemap_scan policy=generic order=reordering");
    assert_eq!(cell.result.outcome, Outcome::Bug as u32);
    assert!(cell.result.bug.as_str().starts_with("TLB flushed before"));
    let cell = one("workload=pagemap_scan policy=eager order=reordering");
    assert!(right(&cell), "{:?}", cell.result);
}

#[test]
fn reordering_harms_nothing_that_promises_no_order() {
    for cell in run("workload=mprotect,nest,switch,fork order=reordering policy=generic") {
        assert!(right(&cell), "{:?}", cell.result);
    }
}

#[test]
fn read_modify_writes_can_be_hypercalls() {
    let cell = one("workload=munmap policy=generic rmw=immediate");
    assert!(right(&cell));
    assert_eq!((cell.counts.traps(), cell.counts.emulated), (512, 0));
    let cell = one("workload=munmap policy=generic rmw=queued");
    assert!(right(&cell));
    assert_eq!((cell.counts.traps(), cell.counts.emulated), (17, 0));
    let cell = one("workload=munmap policy=generic");
    assert_eq!((cell.counts.traps(), cell.counts.emulated), (0, 512));
}

#[test]
fn queued_read_modify_writes_keep_their_order() {
    let cell = one("workload=rmw_reorder policy=generic rmw=queued");
    assert!(right(&cell), "{:?}", cell.result);
}

#[test]
fn hooks_of_7_0_die_in_the_window() {
    let cell = one("workload=preempt_window policy=generic hooks=cpu-strict");
    assert_eq!(
        cell.result.bug.as_str(),
        "BUG_ON in enter_lazy (xen_lazy_mode)"
    );
    for hooks in ["cpu", "task"] {
        let plan = std::format!("workload=preempt_window,switch policy=generic hooks={hooks}");
        assert!(run(&plan).iter().all(right));
    }
}

#[test]
fn the_switch_batches_its_own_requests() {
    let kernel_calls = |plan| one(plan).counts.reasons[Cause::Kernel as usize];
    let lazy = kernel_calls("workload=switch policy=generic");
    let eager = kernel_calls("workload=switch policy=generic cpu-lazy=off");
    // There and back: CR3 and LDT in one multicall or apart, and stack_switch each time.
    assert_eq!((lazy, eager), (4, 6));
}

#[test]
fn two_cpus_have_a_queue_each() {
    let cell = &run_on(2, "workload=two_writers policy=generic")[0];
    assert!(right(cell), "{:?}", cell.result);
    assert_eq!(cell.counts.traps(), 18);
}

#[test]
fn a_machine_of_nested_stacks_moves_no_task() {
    for cell in run_on(2, "workload=migrate_cpu,switch,mprotect") {
        let skipped = cell.result.workload.as_str() == "migrate_cpu";
        let expected = if skipped { Outcome::Skip } else { Outcome::Ran };
        assert_eq!(cell.result.outcome, expected as u32, "{:?}", cell.result);
        assert_eq!(cell.result.differing, 0);
    }
}

#[test]
fn sixty_four_va_mappings_are_two_multicalls() {
    let kernel = Mock::kernel(1);
    let os = kernel.os();
    assert!(kernel.set_policy("generic"));
    os.core.meter.open.set(true);
    let token = kernel.lazy_mmu_mode_enable().expect("no BUG");
    for i in 0..64 {
        os.update_va_mapping(Vaddr(i << 12), Pte::EMPTY);
    }
    assert!(kernel.lazy_mmu_mode_disable(token));
    assert_eq!(
        os.core
            .meter
            .calls
            .iter()
            .map(core::cell::Cell::get)
            .sum::<u64>(),
        2
    );
}

#[test]
fn flush_entries_take_their_mask_with_them() {
    let calls = |sets: u64| {
        let kernel = Mock::kernel(1);
        let os = kernel.os();
        assert!(kernel.set_policy("generic"));
        os.core.meter.open.set(true);
        let token = kernel.lazy_mmu_mode_enable().expect("no BUG");
        (0..sets).for_each(|i| kernel.set_pte(hypercalls::Maddr(i * 8), Pte::EMPTY));
        os.flush_tlb_multi(None);
        assert!(kernel.lazy_mmu_mode_disable(token));
        os.core
            .meter
            .calls
            .iter()
            .map(core::cell::Cell::get)
            .sum::<u64>()
    };
    assert_eq!([29, 30, 31].map(calls), [1, 2, 2]);
}

#[test]
fn every_workload_is_right_on_every_axis() {
    let axes =
        "rmw=immediate rmw=queued merge=off order=reordering batch=5 cpu-lazy=off hooks=task";
    for axis in axes.split(' ') {
        for cell in run(&std::format!("ptes=70 {axis}")) {
            let r = &cell.result;
            assert_eq!((r.differing, r.mistouched), (0, 0), "{axis}: {r:?}");
            assert_ne!(r.outcome, Outcome::Error as u32, "{axis}: {r:?}");
            assert_eq!(r.calls[1..], cell.counts.reasons[1..], "{axis}: {r:?}");
        }
    }
}

#[test]
fn writes_in_the_named_range_are_counted() {
    let hinted = |plan| {
        let kernel = Mock::kernel(1);
        crate::lab::run(&kernel, plan);
        kernel.os().core.meter.hinted.get()
    };
    assert_eq!(hinted("workload=mprotect policy=with-ptes"), 512);
    assert_eq!(hinted("workload=migrate policy=with-ptes"), 0);
    assert_eq!(hinted("workload=mprotect policy=generic"), 0);
}

#[test]
fn more_entries_are_more_sections() {
    let cell = one("workload=mremap policy=generic ptes=1536");
    assert!(right(&cell), "{:?}", cell.result);
    assert_eq!(cell.counts.traps(), 3 * 17);
    let cell = one("workload=mremap policy=generic ptes=8193");
    assert_eq!(cell.result.outcome, Outcome::Error as u32);
}
