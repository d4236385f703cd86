//! Other vCPUs: bringing them up, and handing one of them a task to run.
//!
//! A vCPU without work blocks. Work is a task's number in its slot and an inter-processor
//! interrupt; the vCPU that asked spins until the slot is empty again, so that only one of them
//! runs the library's code at a time: its counters, model and tasks are cells without locks.
//! Concurrent are the hypercalls' entries and exits, idling, and events; not two writers.
#![allow(unsafe_code, reason = "a new vCPU's first state names raw addresses")]

use crate::machine::Xen;
use crate::percpu::MAX_CPUS;
use crate::{event, hypercall, kernel, percpu, task, trap};
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use guest::machine::TaskId;
use hypercalls::Nr;
use hypercalls::sched::{SCHEDOP_BLOCK, SCHEDOP_YIELD};
use hypercalls::trap::{FLAT_DS, FLAT_KERNEL_CS};
use hypercalls::vcpu::{
    CpuUserRegs, VCPUOP_INITIALISE, VCPUOP_UP, VGCF_IN_KERNEL, VcpuGuestContext, xen_pfn_to_cr3,
};
use zerocopy::FromZeros;

/// No work.
const NONE: usize = usize::MAX;
/// How long a waiting vCPU spins before it lets others run.
const SPINS: u32 = 10_000;

static WORK: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(NONE) }; MAX_CPUS];
static ONLINE: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

struct Context(UnsafeCell<VcpuGuestContext>);

// SAFETY: used by vCPU 0 alone, one secondary after the other.
unsafe impl Sync for Context {}

static CONTEXT: Context = Context(UnsafeCell::new(zerocopy::transmute!([0u8; 5168])));

/// Brings up the vCPUs from 1 to `machine.cpus - 1`; each is idle when this returns.
pub(crate) fn bring_up(machine: &Xen) {
    for (cpu, online) in ONLINE.iter().enumerate().take(machine.cpus).skip(1) {
        initialise(cpu, machine);
        let ret = hypercall::call(Nr::VcpuOp, [u64::from(VCPUOP_UP), cpu as u64, 0, 0, 0]);
        assert!(ret == 0, "vcpu_op up {cpu}: {ret}");
        wait(|| online.load(Ordering::Acquire));
    }
}

fn initialise(cpu: usize, machine: &Xen) {
    // SAFETY: see Context; the reference ends with this function.
    let context = unsafe { &mut *CONTEXT.0.get() };
    context.zero();
    context.flags = VGCF_IN_KERNEL;
    context.user_regs = CpuUserRegs {
        rip: secondary as *const () as u64,
        rsp: task::stack_top(TaskId(cpu)),
        rdi: cpu as u64,
        rflags: 1 << 9,
        cs: FLAT_KERNEL_CS,
        ss: u64::from(FLAT_DS),
        ..CpuUserRegs::default()
    };
    context.ctrlreg[3] = xen_pfn_to_cr3(machine.root.0);
    context.gs_base_kernel = percpu::gs_base(cpu);
    let at = hypercall::address_of(context);
    let ret = hypercall::call(
        Nr::VcpuOp,
        [u64::from(VCPUOP_INITIALISE), cpu as u64, at, 0, 0],
    );
    assert!(ret == 0, "vcpu_op initialise {cpu}: {ret}");
}

/// A secondary vCPU's first and only function: its stack is the one of its own task.
extern "C" fn secondary(cpu: usize) -> ! {
    percpu::load(cpu);
    trap::register();
    event::bind(cpu);
    percpu::set_mask(false);
    ONLINE[cpu].store(true, Ordering::Release);
    loop {
        match WORK[cpu].load(Ordering::Acquire) {
            NONE => idle(cpu),
            task => {
                kernel::get().run_task(TaskId(task));
                WORK[cpu].store(NONE, Ordering::Release);
            }
        }
    }
}

/// Blocks unless work came meanwhile: the check and the block are one step, upcalls masked.
fn idle(cpu: usize) {
    percpu::set_mask(true);
    if WORK[cpu].load(Ordering::Acquire) == NONE {
        // Unmasks, and returns once an event was delivered.
        hypercall::call(Nr::SchedOp, [u64::from(SCHEDOP_BLOCK), 0, 0, 0, 0]);
    }
    percpu::set_mask(false);
}

/// Has `cpu` run `task` until it is idle again, and waits for that.
pub(crate) fn run_on(cpu: usize, task: TaskId) {
    WORK[cpu].store(task.0, Ordering::Release);
    event::send_ipi(cpu);
    wait(|| WORK[cpu].load(Ordering::Acquire) == NONE);
}

/// Whether an inter-processor interrupt of `cpu` only said that there is work.
pub(crate) fn has_work(cpu: usize) -> bool {
    WORK[cpu].load(Ordering::Acquire) != NONE
}

fn wait(done: impl Fn() -> bool) {
    while !(0..SPINS).any(|_| {
        spin_loop();
        done()
    }) {
        hypercall::call(Nr::SchedOp, [u64::from(SCHEDOP_YIELD), 0, 0, 0, 0]);
    }
}
