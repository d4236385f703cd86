//! Hypercall `iret`: the way out of a handler, to kernel or user mode.

use super::deliver::failsafe;
use crate::domain::{CrashReason, Domain, RFLAGS_IF, Regs, Step, safe_flags};
use hypercalls::Vaddr;
use hypercalls::trap::{IretContext, VGCF_IN_SYSCALL};
use hypercalls::vm_assist::VMASST_TYPE_ARCHITECTURAL_IOPL;

/// Takes the frame off the kernel's stack and goes where it says. Where that cannot be, the
/// failsafe callback runs on the kernel's stack.
pub(crate) fn iret(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    let at = Vaddr(regs.rsp);
    let Ok(frame) = dom.kernel_view(cpu).read_obj::<IretContext>(at) else {
        return Step::crash(cpu, regs, CrashReason::BadIretFrame(at));
    };
    let to_user = frame.cs & 3 == 3;
    if to_user && dom.vcpus[cpu].user_base.is_none() {
        return Step::crash(cpu, regs, CrashReason::NoUserTable);
    }
    dom.vcpus[cpu].set_mode(!to_user);
    dom.vcpus[cpu].nmi.masked = false;
    load(regs, &frame);
    if to_user {
        regs.gs = dom.vcpus[cpu].gs_user_sel;
    }
    if dom.assists(VMASST_TYPE_ARCHITECTURAL_IOPL) {
        dom.vcpus[cpu].iopl = (frame.rflags >> 12) as u8 & 3;
    }
    dom.mask_upcalls(cpu, frame.rflags & RFLAGS_IF == 0);
    if Vaddr(regs.rip).is_canonical() {
        Step::Resume
    } else {
        failsafe(dom, cpu, regs)
    }
}

fn load(regs: &mut Regs, frame: &IretContext) {
    regs.rip = frame.rip;
    regs.cs = frame.cs as u16 | 3;
    regs.rflags = safe_flags(frame.rflags);
    regs.rsp = frame.rsp;
    regs.ss = frame.ss as u16 | 3;
    regs.rax = frame.rax;
    // From a system call the CPU itself leaves with these two, as `sysret` needs them.
    let in_syscall = frame.flags & VGCF_IN_SYSCALL != 0;
    (regs.rcx, regs.r11) = match in_syscall {
        true => (regs.rip, regs.rflags),
        false => (frame.rcx, frame.r11),
    };
}
