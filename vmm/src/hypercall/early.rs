//! Flushes of other vCPUs in the midst of a hypercall: before a frame becomes something else, in the
//! same trap, and not without end.

use crate::domain::fixture::Guest;
use crate::domain::{Domain, Step};
use crate::mm::FrameType;
use hypercalls::mmu::*;
use hypercalls::multicall::MulticallEntry;
use hypercalls::{DOMID_SELF, Errno, Mfn, Nr};

/// What two vCPUs need for an early flush: a page read-write at the start, and the multicall that
/// makes it read-only and pins it.
fn read_only_and_pin(g: &mut Guest) -> (Mfn, u64) {
    let (va, mfn) = g.page();
    let op = MmuextOp {
        cmd: MMUEXT_PIN_L1_TABLE,
        arg1: mfn.0,
        ..MmuextOp::default()
    };
    let op = g.put(&op);
    let entry = |op, args| MulticallEntry {
        op,
        result: -1,
        args,
    };
    let protect = [va.0, mfn.maddr().0 | 1, 0, 0, 0, 0];
    let pin = [op, 1, 0, u64::from(DOMID_SELF), 0, 0];
    let calls = [
        entry(Nr::UpdateVaMapping as u64, protect),
        entry(Nr::MmuextOp as u64, pin),
    ];
    (mfn, g.put(&calls))
}

/// XSA-401: another vCPU can write to a page until it has flushed its translation, so the page is
/// looked at afterwards; all in one trap.
#[test]
fn a_page_is_validated_after_the_other_vcpu_has_flushed() {
    for (late, result) in [(0, 0), (1 << 12 | 0x67, Errno::EBUSY.to_ret())] {
        let mut g = Guest::new(2);
        let (mfn, calls) = read_only_and_pin(&mut g);
        let l4 = g.dom.vcpus[0].kernel_base;
        let mut flushes = Vec::new();
        g.regs.rax = Nr::Multicall as u64;
        (g.regs.rdi, g.regs.rsi) = (calls, 2);
        let (regs, before) = (&mut g.regs, g.dom.stats.counters);
        let step = super::syscall_with(&mut g.dom, 0, regs, &mut |dom| {
            assert_eq!(dom.mm.type_of(mfn), FrameType::None);
            let written = if late == 0 { 0 } else { l4.maddr().0 | 0x67 };
            dom.memory.write_u64(mfn.entry(9), written).expect("a page");
            flushes.push(dom.take_effects().flush.vcpus);
            Ok(())
        });
        assert_eq!((step, regs.rax, flushes), (Step::Resume, 0, vec![0b11]));
        let results = g
            .get::<[MulticallEntry; 2]>(calls)
            .map(|entry| entry.result);
        assert_eq!(results, [0, result]);
        let after = g.dom.stats.counters;
        assert_eq!(after.hypercalls - before.hypercalls, 1);
        assert_eq!(after.multicall_entries - before.multicall_entries, 2);
        assert_eq!((after.continuations, after.early_flushes), (0, 1));
        assert_eq!(after.pte_updates - before.pte_updates, 1);
        g.recount();
    }
}

/// Whoever cannot flush ends the domain; one vCPU need not wait for any.
#[test]
fn early_flushes_that_fail_or_are_not_needed() {
    for (cpus, end) in [(1, Step::Resume), (2, Step::Shutdown(9))] {
        let mut g = Guest::new(cpus);
        let (_, calls) = read_only_and_pin(&mut g);
        g.regs.rax = Nr::Multicall as u64;
        (g.regs.rdi, g.regs.rsi) = (calls, 2);
        let fail = &mut |_: &mut Domain| Err(Step::Shutdown(9));
        let step = super::syscall_with(&mut g.dom, 0, &mut g.regs, fail);
        assert_eq!(step, end);
        g.dom.take_effects();
        g.recount();
    }
}

/// A guest that has every request wait for a flush is cut short in time, and comes to the end.
#[test]
fn flushes_are_bounded_too() {
    let mut g = Guest::new(2);
    let (va, mfn) = g.page();
    let ext = |cmd| MmuextOp {
        cmd,
        arg1: mfn.0,
        ..MmuextOp::default()
    };
    g.ok(Nr::UpdateVaMapping, &[va.0, mfn.maddr().0 | 1, 0]);
    let pair = [ext(MMUEXT_PIN_L1_TABLE), ext(MMUEXT_UNPIN_TABLE)];
    let ops = vec![pair; 60].concat();
    g.regs.rdx = g.put(&0u32);
    let (done, at) = (g.regs.rdx, g.put(ops.as_slice()));
    g.regs.r10 = u64::from(DOMID_SELF);
    (g.regs.rdi, g.regs.rsi) = (at, 120);
    let (before, rip) = (g.dom.stats.counters, g.regs.rip);
    let mut most = 0;
    loop {
        (g.regs.rax, g.regs.rip) = (Nr::MmuextOp as u64, rip);
        let mut flushes = 0;
        let step = super::syscall_with(&mut g.dom, 0, &mut g.regs, &mut |dom| {
            flushes += 1;
            dom.take_effects();
            Ok(())
        });
        assert_eq!(step, Step::Resume);
        most = most.max(flushes);
        if g.regs.rip == rip {
            break;
        }
    }
    assert_eq!((g.regs.rax, g.get::<u32>(done)), (0, 120));
    let after = g.dom.stats.counters;
    // Of 16 the requests themselves take the last.
    assert_eq!((most, after.early_flushes - before.early_flushes), (15, 60));
    assert_eq!(after.hypercalls - before.hypercalls, 1);
    assert!(after.continuations >= 3);
    g.recount();
}
