//! Hypercalls by their results, on a domain without a kernel.

use crate::domain::fixture::{Guest, handler};
use crate::domain::*;
use crate::trap::deliver_upcall;
use hypercalls::event::*;
use hypercalls::grant_table::*;
use hypercalls::lab::*;
use hypercalls::memory::*;
use hypercalls::mmu::*;
use hypercalls::multicall::MulticallEntry;
use hypercalls::sched::*;
use hypercalls::trap::IretContext;
use hypercalls::vcpu::*;
use hypercalls::version::*;
use hypercalls::{DOMID_SELF, Errno, Nr, Pte, PteFlags, Vaddr};
use proptest::prelude::*;
use zerocopy::FromZeros;

fn bind_virq(g: &mut Guest, virq: u32, vcpu: u32) -> u32 {
    let at = g.put(&BindVirq {
        virq,
        vcpu,
        port: 0,
    });
    g.ok(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_VIRQ), at]);
    g.get::<BindVirq>(at).port
}

fn bind_ipi(g: &mut Guest, vcpu: u32) -> u32 {
    let at = g.put(&BindIpi { vcpu, port: 0 });
    g.ok(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_IPI), at]);
    g.get::<BindIpi>(at).port
}

fn port_op(g: &mut Guest, op: u32, port: u32) -> i64 {
    let at = g.put(&PortArg { port });
    g.call(Nr::EventChannelOp, &[u64::from(op), at])
        .expect("returns")
}

#[test]
fn unknown_calls_are_refused_and_counted() {
    let mut g = Guest::new(1);
    for nr in [6, 40, 63, u64::MAX, 1 << 32 | 1] {
        let result = super::call(&mut g.dom, 0, nr, [u64::MAX; 6]);
        assert_eq!(result, Ok(Errno::ENOSYS.to_ret()));
    }
    assert_eq!(g.dom.stats.counters.unknown_hypercalls, 5);
    g.refused(Nr::GrantTableOp, &[99, 0, 1], Errno::ENOSYS);
    g.refused(Nr::PhysdevOp, &[28], Errno::ENOSYS);
}

#[test]
fn a_suspend_is_refused_and_the_guest_goes_on() {
    let mut g = Guest::new(1);
    let reason = |reason| SchedShutdown { reason };
    let at = g.put(&reason(SHUTDOWN_SUSPEND));
    let asked = [u64::from(SCHEDOP_SHUTDOWN), at];
    assert_eq!(g.call(Nr::SchedOp, &asked), Ok(1));
    let at = g.put(&reason(SHUTDOWN_REBOOT));
    let ended = g.call(Nr::SchedOp, &[u64::from(SCHEDOP_SHUTDOWN), at]);
    assert_eq!(ended, Err(Step::Shutdown(SHUTDOWN_REBOOT)));
}

/// A kernel that has panicked asks for this: its state then is worth a dump.
#[test]
fn a_reported_crash_keeps_the_registers() {
    let mut g = Guest::new(1);
    let at = g.put(&SchedShutdown {
        reason: SHUTDOWN_CRASH,
    });
    g.regs.rax = Nr::SchedOp as u64;
    (g.regs.rdi, g.regs.rsi) = (u64::from(SCHEDOP_SHUTDOWN), at);
    let regs = g.regs;
    let step = super::syscall(&mut g.dom, 0, &mut g.regs);
    assert_eq!(step, Step::crash(0, &regs, CrashReason::Reported));
}

/// What is counted by operation is what was done, in multicalls too, and bounded.
#[test]
fn operations_are_counted_by_name() {
    let mut g = Guest::new(1);
    let flush = |cmd| MmuextOp {
        cmd,
        ..MmuextOp::default()
    };
    let at = g.put(&[flush(MMUEXT_TLB_FLUSH_LOCAL), flush(MMUEXT_TLB_FLUSH_ALL)]);
    let flushes = [at, 2, 0, u64::from(DOMID_SELF)];
    g.ok(Nr::MmuextOp, &flushes);
    let entry = MulticallEntry {
        op: Nr::MmuextOp as u64,
        args: [at, 1, 0, u64::from(DOMID_SELF), 0, 0],
        ..MulticallEntry::default()
    };
    let at = g.put(&entry);
    g.ok(Nr::Multicall, &[at, 1]);
    for operation in 90..200 {
        g.refused(Nr::VcpuOp, &[operation, 0], Errno::ENOSYS);
    }
    let counted: Vec<_> = g.dom.stats.operations.rows().collect();
    let rows = [
        ("vcpu_op/other", 110),
        ("mmuext_op/tlb_flush_all", 1),
        ("mmuext_op/tlb_flush_local", 2),
    ];
    for (name, n) in rows {
        assert!(counted.contains(&(name.to_owned(), n)), "{counted:?}");
    }
    assert_eq!(counted.len(), rows.len(), "{counted:?}");
}

#[test]
fn a_trap_table_without_an_end_is_left() {
    let mut g = Guest::new(1);
    let handler = |vector: u64| [vector & 0xff | 0xe033 << 16, 0xffff_ffff_8000_0000];
    let entries: Vec<u64> = (0..1024).flat_map(handler).collect();
    let at = g.put(&entries[..]);
    g.refused(Nr::SetTrapTable, &[at], Errno::EINVAL);
}

#[test]
fn a_grant_table_can_be_set_up_and_mapped_and_nobodys_grants() {
    let mut g = Guest::new(1);
    let grant = |g: &mut Guest, op: u32, at: u64| g.ok(Nr::GrantTableOp, &[op.into(), at, 1]);
    let list = g.put(&[0_u64; 4]);
    let own = SetupTable {
        dom: DOMID_SELF,
        nr_frames: 4,
        frame_list: list,
        ..SetupTable::default()
    };
    let at = g.put(&own);
    grant(&mut g, GNTTABOP_SETUP_TABLE, at);
    assert_eq!(g.get::<SetupTable>(at).status, GNTST_OKAY);
    let [first, .., last] = g.get::<[u64; 4]>(list);
    assert_eq!((first, last), (g.dom.first_grant_frame().0, first + 3));
    let (va, _) = g.page();
    let entry = Pte::new(hypercalls::Mfn(last), PteFlags::PRESENT | PteFlags::RW);
    g.ok(Nr::UpdateVaMapping, &[va.0, entry.0, 2]);
    g.recount();

    let refused = [
        (
            SetupTable {
                nr_frames: 5,
                ..own
            },
            GNTST_GENERAL_ERROR,
        ),
        (SetupTable { dom: 7, ..own }, GNTST_BAD_DOMAIN),
    ];
    for (asked, status) in refused {
        let at = g.put(&asked);
        grant(&mut g, GNTTABOP_SETUP_TABLE, at);
        assert_eq!(g.get::<SetupTable>(at).status, status);
    }
    let at = g.put(&QuerySize {
        dom: DOMID_SELF,
        ..QuerySize::default()
    });
    grant(&mut g, GNTTABOP_QUERY_SIZE, at);
    let size = g.get::<QuerySize>(at);
    assert_eq!((size.nr_frames, size.max_nr_frames, size.status), (4, 4, 0));
    let at = g.put(&SetVersion { version: 2 });
    let args = [GNTTABOP_SET_VERSION.into(), at, 1];
    g.refused(Nr::GrantTableOp, &args, Errno::ENOSYS);
    assert_eq!(g.get::<SetVersion>(at).version, 1);
    grant(&mut g, GNTTABOP_SET_VERSION, at);
    let at = g.put(&MapGrantRef::default());
    grant(&mut g, GNTTABOP_MAP_GRANT_REF, at);
    assert_eq!(g.get::<MapGrantRef>(at).status, GNTST_BAD_DOMAIN);
    let at = g.put(&UnmapGrantRef::default());
    grant(&mut g, GNTTABOP_UNMAP_GRANT_REF, at);
    assert_eq!(g.get::<UnmapGrantRef>(at).status, GNTST_BAD_HANDLE);
    let many = [GNTTABOP_MAP_GRANT_REF.into(), at, 5000];
    g.refused(Nr::GrantTableOp, &many, Errno::EINVAL);
}

#[test]
fn versions_and_features() {
    let mut g = Guest::new(1);
    assert_eq!(g.ok(Nr::XenVersion, &[0]), 4 << 16 | 17);
    assert_eq!(g.ok(Nr::XenVersion, &[u64::from(XENVER_PAGESIZE)]), 4096);
    let at = g.put(&FeatureInfo::default());
    g.ok(Nr::XenVersion, &[u64::from(XENVER_GET_FEATURES), at]);
    let features = g.get::<FeatureInfo>(at).submap;
    assert_eq!(features & 1, 0, "page tables are never writable");
    assert_eq!(features >> XENFEAT_MMU_PT_UPDATE_PRESERVE_AD & 1, 1);
    assert_eq!(features >> XENFEAT_GNTTAB_MAP_AVAIL_BITS & 1, 1);
    for command in [1, 2, 3, 4, 5, 8, 9] {
        g.ok(Nr::XenVersion, &[command, at]);
        g.refused(Nr::XenVersion, &[command, 0x1000], Errno::EFAULT);
    }
    g.refused(Nr::XenVersion, &[99, at], Errno::ENOSYS);
}

#[test]
fn memory_is_one_range() {
    let mut g = Guest::new(1);
    let (buffer, _) = g.page();
    let at = g.put(&MemoryMap {
        nr_entries: 9,
        pad: 0,
        buffer: buffer.0,
    });
    g.ok(Nr::MemoryOp, &[u64::from(XENMEM_MEMORY_MAP), at]);
    assert_eq!(g.get::<MemoryMap>(at).nr_entries, 1);
    let ram: E820Entry = g.get(buffer.0);
    assert_eq!(({ ram.addr }, { ram.size }, { ram.kind }), (0, 16 << 20, 1));
    let at = g.put(&MachphysMapping::default());
    g.ok(Nr::MemoryOp, &[u64::from(XENMEM_MACHPHYS_MAPPING), at]);
    let m2p: MachphysMapping = g.get(at);
    assert_eq!(m2p.max_mfn + 1, g.dom.memory.frames());
    assert!(m2p.v_end - m2p.v_start >= (m2p.max_mfn + 1) * 8);
    let at = g.put(&DOMID_SELF);
    assert_eq!(
        g.ok(Nr::MemoryOp, &[u64::from(XENMEM_CURRENT_RESERVATION), at]),
        4096
    );
}

#[test]
fn the_console_writes_across_pages_and_stops_at_a_gap() {
    let mut g = Guest::new(1);
    let (first, _) = g.page();
    let (_, _) = g.page();
    let at = Vaddr(first.0 + 0xffe);
    g.dom
        .kernel_view(0)
        .copy_out(at, b"abcd")
        .expect("two pages");
    g.ok(Nr::ConsoleIo, &[0, 4, at.0]);
    assert_eq!(g.dom.console.take_output(), b"abcd");
    g.refused(Nr::ConsoleIo, &[0, 4, 0x1000], Errno::EFAULT);
    g.refused(Nr::ConsoleIo, &[0, u64::MAX, at.0], Errno::E2BIG);
    g.dom.console.type_in(b"xy");
    assert_eq!(g.ok(Nr::ConsoleIo, &[1, 100, at.0]), 2);
    g.refused(Nr::ConsoleIo, &[2, 1, at.0], Errno::ENOSYS);
}

/// The upcall of a timer that is past is delivered on return from the call that set it.
#[test]
fn a_timer_in_the_past_is_due_at_once() {
    let mut g = Guest::new(1);
    g.ok(Nr::SetCallbacks, &[handler(1), handler(2), 0]);
    let port = bind_virq(&mut g, VIRQ_TIMER, 0);
    assert_eq!(port_op(&mut g, EVTCHNOP_UNMASK, port), 0);
    g.dom.clock.set(1000);
    g.ok(Nr::SetTimerOp, &[2000]);
    assert_eq!(
        (g.dom.next_timer(0), g.dom.is_pending(port)),
        (Some(2000), false)
    );
    g.ok(Nr::SetTimerOp, &[999]);
    assert!(g.dom.is_pending(port));
    assert_eq!(deliver_upcall(&mut g.dom, 0, &mut g.regs), Step::Resume);
    assert_ne!(g.regs.rip, handler(1), "masked");
    g.dom.mask_upcalls(0, false);
    assert_eq!(deliver_upcall(&mut g.dom, 0, &mut g.regs), Step::Resume);
    assert_eq!(g.regs.rip, handler(1));
    assert!(g.dom.upcalls_masked(0) && g.dom.kicks() == 1);
}

#[test]
fn events_go_through_mask_selector_and_flag() {
    let mut g = Guest::new(2);
    let port = bind_ipi(&mut g, 1);
    g.dom.kicks();
    assert_eq!(port_op(&mut g, EVTCHNOP_SEND, port), 0);
    assert!(g.dom.is_pending(port));
    assert_eq!(g.dom.kicks(), 0, "the port is masked");
    assert_eq!(port_op(&mut g, EVTCHNOP_UNMASK, port), 0);
    assert_eq!(g.dom.kicks(), 2);
    g.dom.mask_upcalls(1, false);
    assert!(g.dom.upcall_due(1) && !g.dom.upcall_due(0));
    assert_eq!(port_op(&mut g, EVTCHNOP_CLOSE, port), 0);
    assert!(!g.dom.is_pending(port));
    for op in [EVTCHNOP_CLOSE, EVTCHNOP_SEND] {
        assert_eq!(port_op(&mut g, op, port), Errno::EINVAL.to_ret());
        assert_eq!(port_op(&mut g, op, 4096), Errno::EINVAL.to_ret());
    }
    for (op, errno) in [
        (0, Errno::ESRCH),
        (2, Errno::EPERM),
        (11, Errno::ENOSYS),
        (13, Errno::ENOSYS),
    ] {
        let at = g.put(&[0u64; 4]);
        g.refused(Nr::EventChannelOp, &[op, at], errno);
    }
}

#[test]
fn ports_that_belong_to_a_vcpu_stay_there() {
    let mut g = Guest::new(2);
    let ipi = bind_ipi(&mut g, 0);
    let timer = bind_virq(&mut g, VIRQ_TIMER, 1);
    let global = bind_virq(&mut g, 3, 0);
    for (port, vcpu, result) in [
        (ipi, 1, -22),
        (timer, 0, -22),
        (global, 1, 0),
        (global, 2, -2),
        (9999, 0, -22),
    ] {
        let at = g.put(&BindVcpu { port, vcpu });
        let bound = g.call(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_VCPU), at]);
        assert_eq!(bound, Ok(result), "{port} {vcpu}");
    }
    let at = g.put(&EvtchnStatus {
        dom: DOMID_SELF,
        port: timer,
        ..Default::default()
    });
    g.ok(Nr::EventChannelOp, &[u64::from(EVTCHNOP_STATUS), at]);
    let status: EvtchnStatus = g.get(at);
    assert_eq!(
        (status.status, status.vcpu, status.detail[0]),
        (EVTCHNSTAT_VIRQ, 1, VIRQ_TIMER)
    );
    for (virq, vcpu, errno) in [
        (VIRQ_TIMER, 1, Errno::EEXIST),
        (3, 1, Errno::EINVAL),
        (24, 0, Errno::EINVAL),
        (0, 2, Errno::ENOENT),
    ] {
        let at = g.put(&BindVirq {
            virq,
            vcpu,
            port: 0,
        });
        g.refused(
            Nr::EventChannelOp,
            &[u64::from(EVTCHNOP_BIND_VIRQ), at],
            errno,
        );
    }
    let at = g.put(&DOMID_SELF);
    g.ok(Nr::EventChannelOp, &[u64::from(EVTCHNOP_RESET), at]);
    assert_eq!(g.dom.events.bound().count(), 0);
}

#[test]
fn blocking_unmasks_and_waits_for_the_next_timer() {
    let mut g = Guest::new(1);
    let port = bind_virq(&mut g, VIRQ_TIMER, 0);
    port_op(&mut g, EVTCHNOP_UNMASK, port);
    g.ok(Nr::SetTimerOp, &[5000]);
    assert_eq!(
        g.call(Nr::SchedOp, &[1]),
        Err(Step::Block { until: Some(5000) })
    );
    assert!(!g.dom.upcalls_masked(0) && !g.dom.is_ready(0, 4999));
    g.dom.expire_timers(5000);
    assert!(g.dom.is_ready(0, 5000));
    assert_eq!(
        g.call(Nr::SchedOp, &[1]),
        Ok(0),
        "an event is there already"
    );
    assert_eq!(g.call(Nr::SchedOp, &[0]), Err(Step::Yield));
}

#[test]
fn polling_waits_for_its_ports_though_masked_or_the_time() {
    let mut g = Guest::new(1);
    let port = bind_ipi(&mut g, 0);
    let ports = g.put(&port);
    let poll = |ports, nr_ports, timeout| SchedPoll {
        ports,
        nr_ports,
        pad: 0,
        timeout,
    };
    let at = g.put(&poll(ports, 1, 700));
    assert_eq!(
        g.call(Nr::SchedOp, &[3, at]),
        Err(Step::Block { until: Some(700) })
    );
    assert!(g.dom.upcalls_masked(0) && !g.dom.is_ready(0, 699) && g.dom.is_ready(0, 700));
    g.dom.kicks();
    g.dom.notify(port);
    assert_eq!((g.dom.kicks(), g.dom.is_ready(0, 0)), (1, true));
    assert_eq!(g.call(Nr::SchedOp, &[3, at]), Ok(0));
    for (bad, errno) in [
        (poll(ports, 129, 0), Errno::EINVAL),
        (poll(0x1000, 1, 0), Errno::EFAULT),
    ] {
        let at = g.put(&bad);
        g.refused(Nr::SchedOp, &[3, at], errno);
    }
    let at = g.put(&SHUTDOWN_REBOOT);
    assert_eq!(
        g.call(Nr::SchedOp, &[2, at]),
        Err(Step::Shutdown(SHUTDOWN_REBOOT))
    );
}

#[test]
fn a_second_vcpu_starts_where_it_is_told() {
    let mut g = Guest::new(2);
    let op = |command: u32, vcpu: u64, arg| [u64::from(command), vcpu, arg];
    g.refused(Nr::VcpuOp, &op(VCPUOP_UP, 1, 0), Errno::EINVAL);
    g.refused(Nr::VcpuOp, &op(VCPUOP_IS_UP, 2, 0), Errno::ENOENT);
    let mut context = VcpuGuestContext::new_zeroed();
    context.user_regs.rip = handler(9);
    context.user_regs.rflags = u64::MAX;
    context.ctrlreg[3] = g.dom.vcpus[0].kernel_base.maddr().0;
    context.trap_ctxt[14].address = handler(14);
    context.gdt_ents = 512;
    let (va, gdt) = g.page();
    context.gdt_frames[0] = gdt.0;
    let page = Pte::new(gdt, PteFlags::PRESENT).0;
    let at = g.put(&context);
    g.refused(Nr::VcpuOp, &op(VCPUOP_INITIALISE, 1, at), Errno::EINVAL);
    g.ok(Nr::UpdateVaMapping, &[va.0, page, 2]);
    let bad = VcpuGuestContext {
        ctrlreg: [0; 8],
        ..context
    };
    let bad = g.put(&bad);
    g.refused(Nr::VcpuOp, &op(VCPUOP_INITIALISE, 1, bad), Errno::EINVAL);
    g.recount();
    g.ok(Nr::VcpuOp, &op(VCPUOP_INITIALISE, 1, at));
    g.refused(Nr::VcpuOp, &op(VCPUOP_INITIALISE, 1, at), Errno::EEXIST);
    g.ok(Nr::VcpuOp, &op(VCPUOP_UP, 1, 0));
    assert_eq!(g.ok(Nr::VcpuOp, &op(VCPUOP_IS_UP, 1, 0)), 1);
    let start = g.dom.vcpus[1].start.expect("given");
    assert_eq!(
        (start.rip, start.rflags & (RFLAGS_VM | RFLAGS_IOPL)),
        (handler(9), 0)
    );
    assert_ne!(g.dom.kicks() & 2, 0);
    g.recount();
    assert_eq!(
        g.call_on(1, Nr::VcpuOp, &op(VCPUOP_DOWN, 1, 0)),
        Err(Step::Down)
    );
    assert_eq!(
        g.call(Nr::VcpuOp, &op(VCPUOP_DOWN, 0, 0)),
        Err(Step::Shutdown(SHUTDOWN_POWEROFF)),
        "the last one ends the domain"
    );
}

#[test]
fn vcpu_info_moves_once_and_loses_nothing() {
    let mut g = Guest::new(1);
    let (va, mfn) = g.page();
    let asked = |offset| RegisterVcpuInfo {
        mfn: mfn.0,
        offset,
        rsvd: 0,
    };
    for offset in [4033, 4, u32::MAX] {
        let at = g.put(&asked(offset));
        g.refused(
            Nr::VcpuOp,
            &[u64::from(VCPUOP_REGISTER_VCPU_INFO), 0, at],
            Errno::EINVAL,
        );
    }
    let at = g.put(&asked(64));
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_REGISTER_VCPU_INFO), 0, at]);
    g.refused(
        Nr::VcpuOp,
        &[u64::from(VCPUOP_REGISTER_VCPU_INFO), 0, at],
        Errno::EINVAL,
    );
    assert_eq!(g.get::<[u8; 2]>(va.0 + 64), [1, 1], "pending, masked");
    assert_eq!(g.get::<u64>(va.0 + 72), u64::MAX);
    g.recount();
    g.dom.stamp_time(0, 5, 1000);
    assert_eq!(g.get::<u64>(va.0 + 64 + 48), 1000);
}

#[test]
fn timers_of_vcpu_op() {
    let mut g = Guest::new(2);
    g.dom.clock.set(10_000_000);
    let at = g.put(&SetPeriodicTimer {
        period_ns: MIN_PERIOD_NS - 1,
    });
    g.refused(
        Nr::VcpuOp,
        &[u64::from(VCPUOP_SET_PERIODIC_TIMER), 0, at],
        Errno::EINVAL,
    );
    let at = g.put(&SetPeriodicTimer {
        period_ns: MIN_PERIOD_NS,
    });
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_SET_PERIODIC_TIMER), 0, at]);
    assert_eq!(g.dom.next_timer(0), Some(11_000_000));
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_STOP_PERIODIC_TIMER), 0, 0]);
    let shot = |timeout_abs_ns, flags| SetSingleshotTimer {
        timeout_abs_ns,
        flags,
        pad: 0,
    };
    let at = g.put(&shot(1, VCPU_SSHOTTMR_FUTURE));
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_SET_SINGLESHOT_TIMER), 0, at]);
    let at = g.put(&shot(20_000_000, 0));
    g.refused(
        Nr::VcpuOp,
        &[u64::from(VCPUOP_SET_SINGLESHOT_TIMER), 1, at],
        Errno::EINVAL,
    );
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_SET_SINGLESHOT_TIMER), 0, at]);
    assert_eq!(g.dom.next_timer_of_all(), Some(20_000_000));
    g.ok(Nr::VcpuOp, &[u64::from(VCPUOP_STOP_SINGLESHOT_TIMER), 0, 0]);
    assert_eq!(g.dom.next_timer(0), None);
}

#[test]
fn segment_state_and_debug_registers() {
    let mut g = Guest::new(1);
    for (which, base) in [(0, 0x1000), (1, 0x2000), (2, 0x3000)] {
        g.ok(Nr::SetSegmentBase, &[which, base]);
        g.refused(Nr::SetSegmentBase, &[which, 1 << 47], Errno::EINVAL);
    }
    g.refused(Nr::SetSegmentBase, &[4, 0], Errno::EINVAL);
    let v = &g.dom.vcpus[0];
    assert_eq!(
        (v.fs_base, v.gs_base_user, v.gs_base()),
        (0x1000, 0x2000, 0x3000)
    );
    g.ok(Nr::SetSegmentBase, &[3, 0]);
    assert_eq!(g.dom.vcpus[0].gs_base_user, 0);
    g.ok(Nr::StackSwitch, &[0, u64::MAX]);
    g.ok(Nr::SetDebugreg, &[7, 0x401]);
    assert_eq!(g.ok(Nr::GetDebugreg, &[7]), 0x401);
    g.refused(Nr::SetDebugreg, &[7, 1 << 13], Errno::EPERM);
    g.refused(Nr::SetDebugreg, &[0, 0xffff_8000_0000_0000], Errno::EPERM);
    g.refused(Nr::SetDebugreg, &[7, 0x2_0001], Errno::EPERM);
    g.refused(Nr::SetDebugreg, &[7, 1 << 32], Errno::EINVAL);
    g.refused(Nr::SetDebugreg, &[6, 1 << 32], Errno::EINVAL);
    g.ok(Nr::SetDebugreg, &[5, 0x401]);
    assert_eq!(g.ok(Nr::GetDebugreg, &[5]), 0x401);
    g.refused(Nr::SetDebugreg, &[8, 0], Errno::ENODEV);
    g.refused(Nr::GetDebugreg, &[8], Errno::ENODEV);
    g.refused(Nr::VmAssist, &[0, 33], Errno::EINVAL);
    g.refused(Nr::VmAssist, &[2, 2], Errno::ENOSYS);
}

#[test]
fn a_gdt_is_typed_read_only_and_its_selectors_have_bases() {
    let mut g = Guest::new(1);
    let (va, mfn) = g.page();
    let tls: u64 = 0x12cf_f234_5678_ffff;
    g.dom
        .memory
        .write_u64(mfn.entry(12), tls)
        .expect("in memory");
    let frames = g.put(&mfn.0);
    g.refused(Nr::SetGdt, &[frames, 512], Errno::EINVAL);
    g.ok(
        Nr::UpdateVaMapping,
        &[va.0, Pte::new(mfn, PteFlags::PRESENT).0, 2],
    );
    g.refused(Nr::SetGdt, &[frames, 7169], Errno::EINVAL);
    g.refused(Nr::SetGdt, &[0x1000, 512], Errno::EFAULT);
    g.ok(Nr::SetGdt, &[frames, 512]);
    g.recount();
    g.ok(Nr::SetSegmentBase, &[3, 12 << 3 | 3]);
    assert_eq!(g.dom.vcpus[0].gs_base_user, 0x1234_5678);
    let code = 0x00af_9b00_0000_ffffu64;
    g.ok(Nr::UpdateDescriptor, &[mfn.entry(2).0, code]);
    assert_eq!(g.dom.memory.read_u64(mfn.entry(2)), Ok(code | 3 << 45));
    g.refused(
        Nr::UpdateDescriptor,
        &[mfn.entry(2).0 + 4, code],
        Errno::EINVAL,
    );
    let tables = g.dom.vcpus[0].kernel_base;
    g.refused(
        Nr::UpdateDescriptor,
        &[tables.entry(2).0, code],
        Errno::EINVAL,
    );
    g.ok(Nr::SetGdt, &[0, 0]);
    g.recount();
}

/// XSA-213: `iret` in a multicall ends it; nothing runs on the state it left.
#[test]
fn iret_ends_a_multicall() {
    let mut g = Guest::new(1);
    let entry = |op: Nr, args: &[u64]| {
        let mut e = MulticallEntry {
            op: op as u64,
            ..Default::default()
        };
        e.args[..args.len()].copy_from_slice(args);
        e
    };
    let list = [
        entry(Nr::StackSwitch, &[0, 0x111]),
        entry(Nr::Iret, &[]),
        entry(Nr::StackSwitch, &[0, 0x222]),
    ];
    let list = g.put(&list);
    let context = IretContext {
        rax: 5,
        rip: g.regs.rip,
        cs: 0xe030,
        rsp: 77,
        ..Default::default()
    };
    g.regs.rsp = g.put(&context);
    assert_eq!(g.syscall(Nr::Multicall, [list, 3]), Step::Resume);
    assert_eq!((g.regs.rax, g.regs.rsp), (5, 77));
    assert_eq!(g.dom.vcpus[0].kernel_sp, Vaddr(0x111));
    assert_eq!(g.dom.stats.counters.multicall_entries, 2);
}

/// What is measured: traps by cause, and the updates each carried.
#[test]
fn a_section_counts_traps_and_their_updates() {
    let mut g = Guest::new(1);
    let page = g.put(&LabPage::default());
    g.ok(Nr::Lab, &[u64::from(LAB_ATTACH), page]);
    g.refused(Nr::Lab, &[u64::from(LAB_ATTACH), page + 8], Errno::EFAULT);
    let (va, mfn) = g.page();
    let at = crate::mm::walk::l1_entry(&g.dom.memory, g.dom.vcpus[0].kernel_base, va);
    let ptr = at.expect("mapped").0;
    let val = Pte::new(mfn, PteFlags::PRESENT | PteFlags::RW).0;
    let updates = g.put(&[MmuUpdate { ptr, val }; 31]);
    let mmu = [updates, 31, 0, u64::from(DOMID_SELF)];
    let mut entries = [MulticallEntry::default(); 2];
    entries[0].op = Nr::MmuUpdate as u64;
    entries[0].args[..4].copy_from_slice(&mmu);
    entries[1].op = Nr::UpdateVaMapping as u64;
    entries[1].args[..2].copy_from_slice(&[va.0, val]);
    let multicall = g.put(&entries);

    g.ok(Nr::MmuUpdate, &mmu);
    g.ok(Nr::Lab, &[u64::from(LAB_BEGIN)]);
    g.refused(Nr::Lab, &[u64::from(LAB_BEGIN)], Errno::EBUSY);
    g.ok(Nr::StackSwitch, &[0, 0]);
    let cause = |g: &Guest, cause: Cause| {
        let written = g.dom.kernel_view(0).write_obj(Vaddr(page), &(cause as u32));
        written.expect("mapped");
    };
    cause(&g, Cause::Full);
    g.ok(Nr::MmuUpdate, &mmu);
    cause(&g, Cause::Disable);
    g.ok(Nr::Multicall, &[multicall, 2]);
    g.ok(Nr::Lab, &[u64::from(LAB_END)]);
    g.refused(Nr::Lab, &[u64::from(LAB_END)], Errno::EINVAL);

    let expected = [
        ExpectedPte { va: va.0, pte: val },
        ExpectedPte {
            va: va.0,
            pte: val & !2,
        },
        ExpectedPte { va: 0x1000, pte: 0 },
    ];
    let list = g.put(&expected);
    assert_eq!(g.ok(Nr::Lab, &[u64::from(LAB_CHECK), list, 3]), 1);
    g.refused(Nr::Lab, &[u64::from(LAB_CHECK), list, 513], Errno::EINVAL);
    let result = g.put(&CellResult {
        workload: Text::new("w"),
        ..Default::default()
    });
    g.ok(Nr::Lab, &[u64::from(LAB_RESULT), result]);
    let cell = &g.dom.lab.cells[0];
    assert_eq!((cell.traps, cell.updates), (2, 63));
    assert_eq!(cell.by_hypercall["multicall"], 1);
    assert_eq!(cell.other_hypercalls["stack_switch"], 1);
    assert_eq!((cell.batch_sizes[&31], cell.batch_sizes[&32]), (1, 1));
    assert_eq!((cell.flush_reasons[1], cell.flush_reasons[6]), (1, 1));
    assert_eq!((cell.checked, cell.check_mismatches), (3, 1));
    assert_eq!(cell.result.workload.as_str(), "w");
}

/// A long batch is cut short, executed again, and counted once.
#[test]
fn a_long_batch_is_continued() {
    let mut g = Guest::new(1);
    let (_, data) = g.page();
    let update = MmuUpdate {
        ptr: data.maddr().0,
        val: 1,
    };
    let (list, _) = g.page();
    for _ in 1..20 {
        g.page();
    }
    let all = vec![update; 5000];
    let copied = g
        .dom
        .kernel_view(0)
        .copy_out(list, zerocopy::IntoBytes::as_bytes(all.as_slice()));
    copied.expect("twenty pages");
    g.regs.rdx = g.put(&0u32);
    let done = g.regs.rdx;
    g.regs.r10 = u64::from(DOMID_SELF);
    let rip = g.regs.rip;
    assert_eq!(g.syscall(Nr::MmuUpdate, [list.0, 5000]), Step::Resume);
    assert_eq!(
        (g.regs.rip, g.regs.rax),
        (rip.wrapping_sub(2), Nr::MmuUpdate as u64)
    );
    let Regs { rdi, rsi, .. } = g.regs;
    g.regs.rip = rip;
    assert_eq!(g.syscall(Nr::MmuUpdate, [rdi, rsi]), Step::Resume);
    assert_eq!((g.regs.rax, g.get::<u32>(done)), (0, 5000));
    let counters = g.dom.stats.counters;
    assert_eq!((counters.pte_updates, counters.continuations), (5000, 1));
    assert_eq!(
        (counters.hypercalls, &g.dom.stats.batch_sizes),
        (1, &[(4096, 1)].into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever a guest asks for, nothing panics, and every reference is where it should be.
    #[test]
    fn no_argument_harms(calls in prop::collection::vec((0u64..64, prop::array::uniform5(argument())), 1..20)) {
        let mut g = Guest::new(2);
        let filled: Vec<u64> = (0..512).map(|i| i * 0x0101 % 0x7001).collect();
        let (va, mfn) = g.page();
        prop_assert!(g.dom.memory.write(mfn.maddr(), zerocopy::IntoBytes::as_bytes(filled.as_slice())).is_ok());
        for (nr, args) in calls {
            let args = args.map(|a| match a {
                Argument::Value(v) => v,
                Argument::Page(offset) => va.0 + offset,
                Argument::Frame(n) => g.dom.first_mfn().0 + n,
                Argument::Table(n) => g.dom.vcpus[0].kernel_base.0 + n,
            });
            g.regs.rax = nr;
            [g.regs.rdi, g.regs.rsi, g.regs.rdx, g.regs.r10, g.regs.r8] = args;
            let _ = super::syscall(&mut g.dom, 0, &mut g.regs);
            let _ = deliver_upcall(&mut g.dom, 0, &mut g.regs);
            g.dom.vcpus[0].set_mode(true);
        }
        prop_assert_eq!(g.dom.recount(), []);
    }
}

#[derive(Clone, Copy, Debug)]
enum Argument {
    Value(u64),
    Page(u64),
    Frame(u64),
    Table(u64),
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        any::<u64>().prop_map(Argument::Value),
        (0u64..40).prop_map(Argument::Value),
        Just(Argument::Value(u64::from(DOMID_SELF))),
        (0u64..4096).prop_map(Argument::Page),
        (0u64..512).prop_map(|i| Argument::Page(i * 8)),
        (0u64..4096).prop_map(Argument::Frame),
        (0u64..8).prop_map(Argument::Table),
    ]
}

/// As a debug build of Xen: a guest that counts on anything but results is found out.
#[test]
fn poison_destroys_what_was_used_and_nothing_else() {
    let mut g = Guest::new(1);
    g.dom.poison = true;
    let entry = MulticallEntry {
        op: Nr::XenVersion as u64,
        result: 0,
        args: [XENVER_PAGESIZE.into(), 1, 2, 3, 4, 5],
    };
    let at = g.put(&entry);
    (g.regs.rax, g.regs.rdi, g.regs.rsi) = (Nr::Multicall as u64, at, 1);
    (g.regs.rdx, g.regs.r10, g.regs.r9) = (7, 8, 9);
    let step = super::syscall(&mut g.dom, 0, &mut g.regs);
    assert_eq!((step, g.regs.rax), (Step::Resume, 0));
    let poison = 0xaaaa_aaaa_aaaa_aaaa;
    assert_eq!((g.regs.rdi, g.regs.rsi), (poison, poison));
    assert_eq!((g.regs.rdx, g.regs.r10, g.regs.r9), (7, 8, 9));
    let left: MulticallEntry = g.get(at);
    assert_eq!(
        (left.op, left.result, left.args),
        (poison, 4096, [poison; 6])
    );
}
