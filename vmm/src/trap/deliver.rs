//! Handing things to the guest kernel: exceptions, system calls of user mode, event upcalls.

use super::Fault;
use super::frame::{self, SYSCALL, Target, UPCALL, enter};
use crate::domain::{CrashReason, Domain, Entry, Nmi, RFLAGS_DF, Regs, Step, Streak};
use hypercalls::Vaddr;
use hypercalls::shared_info::VcpuInfo;
use hypercalls::trap::{FLAT_DS, NMI, PF, PFEC_USER, UD, has_error_code};
use std::mem::offset_of;

/// The same fault this often in a row is a loop.
pub(super) const LOOP: u32 = 10_000;
/// Bytes of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

/// An NMI or an event upcall if one is due; to be called before every entry into the guest.
pub fn deliver_upcall(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    if !dom.vcpus[cpu].up {
        return Step::Down;
    }
    dom.resume(cpu);
    if dom.vcpus[cpu].nmi_due() {
        let v = &mut dom.vcpus[cpu];
        v.nmi = Nmi {
            pending: false,
            masked: true,
        };
        let handler = v.traps[usize::from(NMI)];
        let entry = Entry {
            address: Vaddr(handler.address),
            masks_events: handler.masks_events(),
        };
        return callback(dom, cpu, regs, Some(entry), ("nmi", u16::from(NMI)));
    }
    if !dom.upcall_due(cpu) {
        return Step::Resume;
    }
    dom.stats.counters.upcalls += 1;
    let entry = dom.vcpus[cpu].callbacks.event;
    callback(dom, cpu, regs, entry, ("event", UPCALL))
}

/// A `syscall` of user mode, `regs.rip` past it.
pub fn user_syscall(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    let callbacks = &dom.vcpus[cpu].callbacks;
    let entry = match regs.is_compat() {
        true => callbacks.syscall32,
        false => callbacks.syscall,
    };
    if entry.is_none() {
        regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
        let fault = Fault {
            vector: UD,
            error: 0,
            cr2: Vaddr(0),
        };
        return deliver(dom, cpu, regs, fault);
    }
    dom.stats.counters.user_syscalls += 1;
    dom.vcpus[cpu].streak = Streak::default();
    let step = callback(dom, cpu, regs, entry, ("syscall", SYSCALL));
    regs.rflags &= !RFLAGS_DF;
    step
}

/// A `sysenter` of user mode: the CPU saves nothing, so that the frame has no rip, no stack and
/// the null selector, RPL 3. `None` if the kernel takes none.
pub(super) fn user_sysenter(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Option<Step> {
    let entry = dom.vcpus[cpu].callbacks.sysenter?;
    dom.stats.counters.user_syscalls += 1;
    (regs.rip, regs.rsp) = (0, 0);
    (regs.cs, regs.ss) = (3, FLAT_DS);
    Some(callback(dom, cpu, regs, Some(entry), ("sysenter", SYSCALL)))
}

/// The failsafe callback: the way back to the guest it asked for cannot be.
pub(super) fn failsafe(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    let entry = dom.vcpus[cpu].callbacks.failsafe;
    callback(dom, cpu, regs, entry, ("failsafe", frame::FAILSAFE))
}

fn callback(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    entry: Option<Entry>,
    (name, number): (&'static str, u16),
) -> Step {
    let Some(entry) = entry else {
        return Step::crash(cpu, regs, CrashReason::NoCallback(name));
    };
    let target = Target {
        entry,
        error: None,
        selectors: number == frame::FAILSAFE,
        number,
    };
    match enter(dom, cpu, regs, &target) {
        Ok(()) => Step::Resume,
        Err(crash) => crash,
    }
}

/// An exception, to the handler the guest registered.
pub(super) fn deliver(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: Fault) -> Step {
    if let Err(crash) = note(dom, cpu, regs, &fault) {
        return with_cr2(crash, &fault);
    }
    let Fault { vector, error, cr2 } = fault;
    let info = dom.vcpus[cpu].traps[usize::from(vector)];
    if info.address == 0 {
        let reason = CrashReason::NoHandler { vector, error, cr2 };
        return with_cr2(Step::crash(cpu, regs, reason), &fault);
    }
    if vector == PF {
        publish_cr2(dom, cpu, cr2);
    }
    let target = Target {
        entry: Entry {
            address: Vaddr(info.address),
            masks_events: info.masks_events(),
        },
        error: has_error_code(vector).then(|| shown(dom, cpu, &fault)),
        selectors: false,
        number: u16::from(vector),
    };
    if let Err(crash) = enter(dom, cpu, regs, &target) {
        return with_cr2(crash, &fault);
    }
    dom.stats.counters.faults_bounced += 1;
    dom.attribution.fault(dom.vcpus[cpu].kernel_sp);
    *dom.stats.vectors.entry(vector).or_default() += 1;
    Step::Resume
}

/// The error code as the guest sees it: its kernel does not know that it runs at CPL3.
fn shown(dom: &Domain, cpu: usize, fault: &Fault) -> u64 {
    match fault.vector {
        PF if dom.vcpus[cpu].kernel_mode => fault.error & !PFEC_USER,
        _ => fault.error,
    }
}

fn publish_cr2(dom: &mut Domain, cpu: usize, cr2: Vaddr) {
    let v = &mut dom.vcpus[cpu];
    v.cr2 = cr2.0;
    let at = v.info.add(offset_of!(VcpuInfo, cr2) as u64);
    // vcpu_info is a page of ours or one the guest's registration holds.
    let _ = dom.memory.write_u64(at, cr2.0);
}

/// Counts the same fault in a row.
///
/// # Errors
/// The domain's end, if it is a loop.
pub(super) fn note(dom: &mut Domain, cpu: usize, regs: &Regs, fault: &Fault) -> Result<(), Step> {
    let streak = &mut dom.vcpus[cpu].streak;
    let this = (fault.vector, regs.rip, fault.cr2.0);
    if streak.fault != this {
        *streak = Streak {
            fault: this,
            times: 0,
        };
    }
    streak.times += 1;
    if streak.times < LOOP {
        return Ok(());
    }
    let reason = CrashReason::FaultLoop {
        vector: fault.vector,
        rip: Vaddr(regs.rip),
        cr2: fault.cr2,
        times: streak.times,
    };
    Err(Step::crash(cpu, regs, reason))
}

fn with_cr2(step: Step, fault: &Fault) -> Step {
    match step {
        Step::Crash(mut crash) if fault.vector == PF => {
            crash.cr2 = fault.cr2.0;
            Step::Crash(crash)
        }
        other => other,
    }
}
