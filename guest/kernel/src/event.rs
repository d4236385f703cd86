//! Event channels: binding the two this kernel uses, and the upcall's loop over what waits.

use crate::{hypercall, kernel, percpu, smp};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hypercalls::Nr;
use hypercalls::event::{
    BindIpi, BindVirq, EVTCHNOP_BIND_IPI, EVTCHNOP_BIND_VIRQ, EVTCHNOP_SEND, EVTCHNOP_UNMASK,
    PortArg, VIRQ_TIMER,
};
use hypercalls::vcpu::VCPUOP_STOP_PERIODIC_TIMER;

static TIMER: [AtomicU32; percpu::MAX_CPUS] = [const { AtomicU32::new(0) }; percpu::MAX_CPUS];
static IPI: [AtomicU32; percpu::MAX_CPUS] = [const { AtomicU32::new(0) }; percpu::MAX_CPUS];

/// Timer events each vCPU has taken.
static TICKS: [AtomicU64; percpu::MAX_CPUS] = [const { AtomicU64::new(0) }; percpu::MAX_CPUS];

fn op<T>(cmd: u32, arg: &mut T) {
    let at = hypercall::address_of(arg);
    let ret = hypercall::call(Nr::EventChannelOp, [u64::from(cmd), at, 0, 0, 0]);
    assert!(ret == 0, "event_channel_op {cmd}: {ret}");
}

/// Binds the timer and the inter-processor interrupt of `cpu`, and unmasks both. The timer only
/// fires when it is told to: the tick that Xen starts a vCPU with is stopped.
pub(crate) fn bind(cpu: usize) {
    let args = [u64::from(VCPUOP_STOP_PERIODIC_TIMER), cpu as u64, 0, 0, 0];
    let ret = hypercall::call(Nr::VcpuOp, args);
    assert!(ret == 0, "stop_periodic_timer: {ret}");
    let mut timer = BindVirq {
        virq: VIRQ_TIMER,
        vcpu: cpu as u32,
        port: 0,
    };
    op(EVTCHNOP_BIND_VIRQ, &mut timer);
    let mut ipi = BindIpi {
        vcpu: cpu as u32,
        port: 0,
    };
    op(EVTCHNOP_BIND_IPI, &mut ipi);
    TIMER[cpu].store(timer.port, Ordering::Relaxed);
    IPI[cpu].store(ipi.port, Ordering::Relaxed);
    for port in [timer.port, ipi.port] {
        op(EVTCHNOP_UNMASK, &mut PortArg { port });
    }
}

/// Sends `cpu` its inter-processor interrupt.
pub(crate) fn send_ipi(cpu: usize) {
    op(
        EVTCHNOP_SEND,
        &mut PortArg {
            port: IPI[cpu].load(Ordering::Relaxed),
        },
    );
}

/// How many timer events `cpu` has taken.
pub(crate) fn ticks(cpu: usize) -> u64 {
    TICKS[cpu].load(Ordering::Relaxed)
}

/// Takes everything that waits. Upcalls are masked.
pub(crate) fn take_all() {
    while percpu::take_pending() {
        let mut selector = percpu::take_selector();
        while selector != 0 {
            let word = selector.trailing_zeros() as usize;
            selector &= selector - 1;
            let mut ports = percpu::take_ports(word);
            while ports != 0 {
                let port = word as u32 * 64 + ports.trailing_zeros();
                ports &= ports - 1;
                take(port);
            }
        }
    }
}

fn take(port: u32) {
    let cpu = percpu::cpu();
    if port == TIMER[cpu].load(Ordering::Relaxed) {
        TICKS[cpu].fetch_add(1, Ordering::Relaxed);
        kernel::get().timer_interrupt();
    } else if port == IPI[cpu].load(Ordering::Relaxed) && !smp::has_work(cpu) {
        kernel::get().ipi_interrupt();
    }
}
