//! What guest code causes by running: exceptions, privileged instructions, system calls, upcalls.
//!
//! Comes in: a vector with its error code, and registers, from code at CPL3, kernel or user.
//! Goes out: the instruction emulated, or a frame on the kernel's stack and the registers at its
//! handler, or the end of the domain. Everything the guest points at is read once, as a copy.

mod deliver;
#[cfg(test)]
mod early;
mod frame;
mod instruction;
mod int;
mod iret;
mod m2p;
mod msr;
mod operand;
mod operation;
mod port;
mod privileged;
mod ptwr;
mod selector;
mod spurious;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod user_tests;

pub use deliver::{deliver_upcall, user_syscall};
pub(crate) use iret::iret;

use crate::domain::{Domain, Regs, Step};
use crate::hypercall::MAX_WORK;
use deliver::deliver;
use hypercalls::Vaddr;
use hypercalls::trap::{GP, NM, PF, UD};

/// An exception as the CPU raised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    vector: u8,
    /// 0 if the vector has none.
    error: u64,
    /// The faulting address of a page fault.
    cr2: Vaddr,
}

/// What became of a fault.
enum Fate {
    /// Dealt with: the guest goes on and never knows.
    Resolved,
    /// Nothing yet: it comes again, by itself or when the host has flushed.
    Later,
    /// The guest's kernel was entered for it already.
    Entered(Step),
    /// The guest's, as it was or as something else.
    Guest(Fault),
}

/// Exception `vector` from CPL3 on vCPU `cpu`. `regs.rip` is the faulting instruction's address,
/// or past it for a trap, as the CPU pushed it; `error_code` and `cr2` count where there are any.
/// Where [`crate::mm::Mm::awaits_flush`] says so afterwards nothing was done: a host with other vCPUs
/// flushes and calls again before it lets go of the domain.
pub fn exception(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    vector: u8,
    error_code: u64,
    cr2: u64,
) -> Step {
    let fault = Fault {
        vector,
        error: error_code,
        cr2: Vaddr(cr2),
    };
    dom.mm.limit(Some(MAX_WORK));
    let fate = handle(dom, cpu, regs, fault);
    dom.mm.limit(None);
    let step = match fate {
        Fate::Resolved | Fate::Later => Step::Resume,
        Fate::Entered(step) => step,
        Fate::Guest(fault) => {
            // The guest is told once; its handler has the FPU.
            dom.vcpus[cpu].ts &= fault.vector != NM;
            deliver(dom, cpu, regs, fault)
        }
    };
    dom.suspect(cpu, regs, step)
}

fn handle(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: Fault) -> Fate {
    match fault.vector {
        PF => page_fault(dom, cpu, regs, fault),
        GP => privileged::general_protection(dom, cpu, regs, fault),
        UD => privileged::invalid_opcode(dom, cpu, regs, fault),
        _ => Fate::Guest(fault),
    }
}

fn page_fault(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: Fault) -> Fate {
    if !dom.mm.settle(&dom.memory) {
        // It comes again if there is still reason for it.
        return Fate::Later;
    }
    if ptwr::write(dom, cpu, regs, &fault) || m2p::read(dom, cpu, regs, &fault) {
        dom.vcpus[cpu].streak.times = 0;
        return Fate::Resolved;
    }
    if dom.mm.awaits_flush() {
        return Fate::Later;
    }
    match spurious::is_spurious(dom, cpu, regs, &fault) {
        true => Fate::Resolved,
        false => Fate::Guest(fault),
    }
}
