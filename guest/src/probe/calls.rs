//! The other hypercalls' refusals: commands and arguments that no guest should rely on.

use super::fixture::Fixture;
use super::{Answer, Probe, row};
use hypercalls::Nr;
use hypercalls::event::*;
use hypercalls::vcpu::*;

fn call(f: &Fixture<'_>, nr: Nr, cmd: u64, words: &[u64]) -> Answer {
    f.put(words);
    f.call(nr, [cmd, f.requests().0, 0, 0, 0])
}

fn event(f: &Fixture<'_>, cmd: u32, words: &[u64]) -> Answer {
    call(f, Nr::EventChannelOp, cmd.into(), words)
}

fn vcpu(f: &Fixture<'_>, cmd: u32, cpu: u64, words: &[u64]) -> Answer {
    f.put(words);
    f.call(Nr::VcpuOp, [cmd.into(), cpu, f.requests().0, 0, 0])
}

pub(super) const ROWS: [Probe; 49] = [
    row("version_unknown", |f| call(f, Nr::XenVersion, 99, &[])),
    row("version_features_bad_pointer", |f| {
        f.call(Nr::XenVersion, [6, f.no_l1().0, 0, 0, 0])
    }),
    row("version_pagesize", |f| {
        f.call(Nr::XenVersion, [7, 0, 0, 0, 0])
    }),
    row("memory_unknown", |f| call(f, Nr::MemoryOp, 63, &[])),
    row("memory_machphys_bad_pointer", |f| {
        f.call(Nr::MemoryOp, [12, f.no_l1().0, 0, 0, 0])
    }),
    row("console_unknown", |f| {
        f.call(Nr::ConsoleIo, [9, 1, f.requests().0, 0, 0])
    }),
    row("console_write_nothing", |f| {
        f.call(Nr::ConsoleIo, [0, 0, f.requests().0, 0, 0])
    }),
    row("console_write_bad_pointer", |f| {
        f.call(Nr::ConsoleIo, [0, 1, f.no_l1().0, 0, 0])
    }),
    row("sched_unknown", |f| call(f, Nr::SchedOp, 99, &[])),
    row("sched_poll_too_many", |f| {
        call(f, Nr::SchedOp, 3, &[f.requests().0, 129, 1])
    }),
    row("sched_poll_bad_port", |f| {
        // The port's number lies behind the request.
        call(f, Nr::SchedOp, 3, &[f.requests().0 + 24, 1, 1, 1 << 20])
    }),
    row("sched_poll_bad_pointer", |f| {
        f.call(Nr::SchedOp, [3, f.no_l1().0, 0, 0, 0])
    }),
    row("sched_shutdown_bad_pointer", |f| {
        f.call(Nr::SchedOp, [2, f.no_l1().0, 0, 0, 0])
    }),
    row("event_unknown", |f| event(f, 99, &[])),
    row("event_bad_pointer", |f| {
        f.call(Nr::EventChannelOp, [4, f.no_l1().0, 0, 0, 0])
    }),
    row("event_virq_unknown", |f| {
        event(f, EVTCHNOP_BIND_VIRQ, &[u64::from(NR_VIRQS), 0])
    }),
    row("event_virq_bad_vcpu", |f| {
        event(f, EVTCHNOP_BIND_VIRQ, &[1 | 99 << 32, 0])
    }),
    row("event_virq_twice", |f| {
        event(f, EVTCHNOP_BIND_VIRQ, &[u64::from(VIRQ_TIMER), 0])
    }),
    row("event_ipi_bad_vcpu", |f| event(f, EVTCHNOP_BIND_IPI, &[99])),
    row("event_close_0", |f| event(f, EVTCHNOP_CLOSE, &[0])),
    row("event_close_unbound", |f| event(f, EVTCHNOP_CLOSE, &[40])),
    row("event_close_beyond", |f| {
        event(f, EVTCHNOP_CLOSE, &[1 << 20])
    }),
    row("event_send_unbound", |f| event(f, EVTCHNOP_SEND, &[40])),
    row("event_send_beyond", |f| event(f, EVTCHNOP_SEND, &[1 << 20])),
    row("event_unmask_unbound", |f| event(f, EVTCHNOP_UNMASK, &[40])),
    row("event_unmask_beyond", |f| {
        event(f, EVTCHNOP_UNMASK, &[1 << 20])
    }),
    row("event_vcpu_unbound", |f| {
        event(f, EVTCHNOP_BIND_VCPU, &[40])
    }),
    row("event_status_unbound", |f| {
        event(f, EVTCHNOP_STATUS, &[40 << 32 | 0x7ff0])
    }),
    row("vcpu_unknown", |f| vcpu(f, 99, 0, &[])),
    row("vcpu_up_beyond", |f| vcpu(f, VCPUOP_IS_UP, 99, &[])),
    row("vcpu_is_up", |f| vcpu(f, VCPUOP_IS_UP, 0, &[])),
    row("vcpu_period_too_short", |f| {
        vcpu(f, VCPUOP_SET_PERIODIC_TIMER, 0, &[999_999])
    }),
    row("vcpu_stop_periodic", |f| {
        vcpu(f, VCPUOP_STOP_PERIODIC_TIMER, 0, &[])
    }),
    row("vcpu_singleshot_past", |f| {
        vcpu(
            f,
            VCPUOP_SET_SINGLESHOT_TIMER,
            0,
            &[1, u64::from(VCPU_SSHOTTMR_FUTURE)],
        )
    }),
    row("vcpu_stop_singleshot", |f| {
        vcpu(f, VCPUOP_STOP_SINGLESHOT_TIMER, 0, &[])
    }),
    row("debugreg_unknown", |f| {
        f.call(Nr::SetDebugreg, [8, 0, 0, 0, 0])
    }),
    row("debugreg_4", |f| f.call(Nr::SetDebugreg, [4, 0, 0, 0, 0])),
    row("debugreg_5", |f| f.call(Nr::SetDebugreg, [5, 0, 0, 0, 0])),
    row("debugreg_6_high_bits", |f| {
        f.call(Nr::SetDebugreg, [6, 1 << 32, 0, 0, 0])
    }),
    row("debugreg_7_general_detect", |f| {
        f.call(Nr::SetDebugreg, [7, 1 << 13, 0, 0, 0])
    }),
    row("debugreg_7_high_bits", |f| {
        f.call(Nr::SetDebugreg, [7, 1 << 32, 0, 0, 0])
    }),
    row("debugreg_7_io", |f| {
        f.call(Nr::SetDebugreg, [7, 0x2_0001, 0, 0, 0])
    }),
    row("debugreg_get_0", |f| f.call(Nr::GetDebugreg, [0; 5])),
    row("debugreg_get_4", |f| {
        f.call(Nr::GetDebugreg, [4, 0, 0, 0, 0])
    }),
    row("debugreg_get_5", |f| {
        f.call(Nr::GetDebugreg, [5, 0, 0, 0, 0])
    }),
    row("debugreg_get_6", |f| {
        f.call(Nr::GetDebugreg, [6, 0, 0, 0, 0])
    }),
    row("debugreg_get_7", |f| {
        f.call(Nr::GetDebugreg, [7, 0, 0, 0, 0])
    }),
    row("debugreg_get_unknown", |f| {
        f.call(Nr::GetDebugreg, [8, 0, 0, 0, 0])
    }),
    row("debugreg_in_the_hole", |f| {
        f.call(
            Nr::SetDebugreg,
            [0, hypercalls::Vaddr::from_l4_slot(256).0, 0, 0, 0],
        )
    }),
];
