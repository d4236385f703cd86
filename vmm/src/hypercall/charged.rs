//! What holds the hypervisor and is no table: multicalls of the longest calls there are, each cut
//! short in time, counted once and done to the end.

use super::batch::MAX_WORK;
use super::work;
use crate::domain::Step;
use crate::domain::fixture::Guest;
use hypercalls::console::CONSOLEIO_WRITE;
use hypercalls::event::{AllocUnbound, EVTCHNOP_ALLOC_UNBOUND};
use hypercalls::grant_table::{GNTTABOP_COPY, GNTTABOP_UNMAP_GRANT_REF, UnmapGrantRef};
use hypercalls::lab::{ExpectedPte, LAB_CHECK, LAB_CHECK_MAX};
use hypercalls::mmu::*;
use hypercalls::multicall::MulticallEntry;
use hypercalls::sched::{SCHED_POLL_MAX_PORTS, SCHEDOP_POLL, SchedPoll};
use hypercalls::trap::TrapInfo;
use hypercalls::{DOMID_SELF, Nr};
use std::time::{Duration, Instant};

/// The longest that one call may be beyond the end of a trap's work: a grant table's elements.
const ONE_CALL: u64 = 4096 * work::ANSWERED + work::ENTRY;
/// Entries of each multicall.
const ENTRIES: usize = 1024;

/// Executes a multicall of `count` such calls to its end: how many traps, and the longest.
#[track_caller]
fn multicall(g: &mut Guest, nr: Nr, args: [u64; 6], count: usize) -> (u64, Duration) {
    let entry = MulticallEntry {
        op: nr as u64,
        result: -1,
        args,
    };
    let at = g.put(vec![entry; count].as_slice());
    (g.regs.rax, g.regs.rdi, g.regs.rsi) = (Nr::Multicall as u64, at, count as u64);
    let (rip, before) = (g.regs.rip, g.dom.stats.counters);
    let (mut traps, mut longest) = (0, Duration::ZERO);
    loop {
        let (start, work) = (Instant::now(), g.dom.mm.work());
        let step = super::syscall(&mut g.dom, 0, &mut g.regs);
        longest = longest.max(start.elapsed());
        traps += 1;
        assert_eq!(step, Step::Resume);
        let work = g.dom.mm.work() - work;
        assert!(work <= MAX_WORK + ONE_CALL, "{}: {work}", nr.name());
        if std::mem::replace(&mut g.regs.rip, rip) == rip {
            break;
        }
    }
    assert_eq!(g.regs.rax, 0);
    let after = g.dom.stats.counters;
    assert_eq!(after.hypercalls - before.hypercalls, 1);
    assert_eq!(after.continuations - before.continuations, traps - 1);
    assert_eq!(
        after.multicall_entries - before.multicall_entries,
        count as u64
    );
    g.recount();
    (traps, longest)
}

/// The longest calls of each kind: number, arguments.
fn longest_calls(g: &mut Guest) -> Vec<(Nr, [u64; 6])> {
    let own = u64::from(DOMID_SELF);
    let flush = MmuextOp {
        cmd: MMUEXT_TLB_FLUSH_ALL,
        ..MmuextOp::default()
    };
    let (_, plain) = g.page();
    let write = MmuUpdate {
        ptr: plain.maddr().0,
        val: 1,
    };
    let handler = TrapInfo {
        address: 0x1000,
        ..TrapInfo::default()
    };
    let handlers = [vec![handler; 1023], vec![TrapInfo::default()]].concat();
    let ports = g.put(&[1u32; SCHED_POLL_MAX_PORTS as usize]);
    let poll = SchedPoll {
        ports,
        nr_ports: SCHED_POLL_MAX_PORTS,
        pad: 0,
        timeout: 1,
    };
    let unbound = AllocUnbound {
        dom: DOMID_SELF,
        remote_dom: DOMID_SELF,
        port: 0,
    };
    let flushes = g.put(vec![flush; 4096].as_slice());
    let writes = g.put(vec![write; 4096].as_slice());
    let grants = g.put(vec![UnmapGrantRef::default(); 4096].as_slice());
    let expected = g.put(&[[0x1000u64, 1]; LAB_CHECK_MAX as usize]);
    assert_eq!(size_of::<ExpectedPte>(), 16);
    let (handlers, poll, unbound) = (g.put(handlers.as_slice()), g.put(&poll), g.put(&unbound));
    vec![
        (Nr::MmuextOp, [flushes, 4096, 0, own, 0, 0]),
        (Nr::MmuUpdate, [writes, 4096, 0, own, 0, 0]),
        (
            Nr::GrantTableOp,
            [GNTTABOP_UNMAP_GRANT_REF.into(), grants, 4096, 0, 0, 0],
        ),
        (
            Nr::GrantTableOp,
            [GNTTABOP_COPY.into(), grants, 1024, 0, 0, 0],
        ),
        (
            Nr::ConsoleIo,
            [CONSOLEIO_WRITE.into(), 96 << 10, writes, 0, 0, 0],
        ),
        (Nr::SetTrapTable, [handlers, 0, 0, 0, 0, 0]),
        (Nr::SchedOp, [SCHEDOP_POLL.into(), poll, 0, 0, 0, 0]),
        (
            Nr::Lab,
            [LAB_CHECK.into(), expected, LAB_CHECK_MAX, 0, 0, 0],
        ),
        (
            Nr::EventChannelOp,
            [EVTCHNOP_ALLOC_UNBOUND.into(), unbound, 0, 0, 0, 0],
        ),
    ]
}

#[test]
fn multicalls_of_the_longest_calls_are_done_in_parts() {
    let calls = longest_calls(&mut Guest::new(1)).len();
    for n in 0..calls {
        let mut g = Guest::new(1);
        let (nr, args) = longest_calls(&mut g)[n];
        let (traps, longest) = multicall(&mut g, nr, args, ENTRIES);
        println!("{}: {traps} traps, the longest {longest:?}", nr.name());
        assert!(traps > 2, "{}: {traps} traps", nr.name());
    }
}

/// As many as a kernel's buffer holds, and far more: in one trap.
#[test]
fn what_kernels_ask_for_is_not_cut() {
    let own = u64::from(DOMID_SELF);
    let mut g = Guest::new(1);
    let (va, plain) = g.page();
    let write = MmuUpdate {
        ptr: plain.maddr().0,
        val: 1,
    };
    let writes = g.put(vec![write; 32].as_slice());
    let rw = plain.maddr().0 | 7;
    for (nr, args) in [
        (Nr::MmuUpdate, [writes, 32, 0, own, 0, 0]),
        (Nr::UpdateVaMapping, [va.0, rw, 0, 0, 0, 0]),
        (Nr::XenVersion, [0; 6]),
    ] {
        let (traps, _) = multicall(&mut g, nr, args, 256);
        assert_eq!(traps, 1, "{}", nr.name());
    }
}
