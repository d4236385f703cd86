//! The bounce frame: what an exception, an upcall or a callback leaves on the kernel's stack.
//!
//! From the lowest address: rcx, r11, (ds, es, fs, gs of a failsafe callback), (error code), rip,
//! cs | upcall mask << 32, rflags with IF = !mask, rsp, ss.

use crate::domain::*;
use arrayvec::ArrayVec;
use hypercalls::Vaddr;
use hypercalls::trap::{FLAT_DS, FLAT_KERNEL_CS};
use hypercalls::vm_assist::VMASST_TYPE_ARCHITECTURAL_IOPL;
use zerocopy::IntoBytes;

/// Words a frame has at most.
const MAX_WORDS: usize = 12;
/// Flags that are clear in a handler.
const CLEARED: u64 = RFLAGS_TF | RFLAGS_RF | RFLAGS_NT | RFLAGS_AC | RFLAGS_VM;

/// Where the kernel is entered and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Its entry point, and whether it masks upcalls.
    pub(super) entry: Entry,
    /// The error code, if the exception has one.
    pub(super) error: Option<u64>,
    /// A failsafe callback: the data selectors are saved too.
    pub(super) selectors: bool,
    /// The exception's vector, or [`UPCALL`] and so on, for the crash report.
    pub(super) number: u16,
}

/// [`Target::number`] of an event upcall.
pub(super) const UPCALL: u16 = 256;
/// [`Target::number`] of a failsafe callback.
pub(super) const FAILSAFE: u16 = 257;
/// [`Target::number`] of a system call.
pub(super) const SYSCALL: u16 = 258;

/// Enters the kernel: pushes the frame, changes stack and tables if it comes from user mode, and
/// leaves the registers at the entry point.
///
/// # Errors
/// The domain's end, if the frame cannot be pushed.
pub(super) fn enter(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    target: &Target,
) -> Result<(), Step> {
    let from_kernel = dom.vcpus[cpu].kernel_mode;
    let words = words(dom, cpu, regs, target);
    let top = match from_kernel {
        true => Vaddr(regs.rsp),
        false => dom.vcpus[cpu].kernel_sp,
    };
    let at = Vaddr((top.0 & !15).wrapping_sub(words.len() as u64 * 8));
    let pushed = dom.kernel_view(cpu).copy_out(at, words.as_bytes());
    pushed.map_err(|_| {
        let vector = target.number;
        Step::crash(cpu, regs, CrashReason::BadKernelStack { vector, at })
    })?;
    dom.vcpus[cpu].set_mode(true);
    if target.entry.masks_events {
        dom.mask_upcalls(cpu, true);
    }
    regs.rip = target.entry.address.0;
    regs.rsp = at.0;
    (regs.cs, regs.ss) = (FLAT_KERNEL_CS, FLAT_DS);
    regs.rflags = safe_flags(regs.rflags) & !CLEARED;
    Ok(())
}

fn words(dom: &Domain, cpu: usize, regs: &Regs, target: &Target) -> ArrayVec<u64, MAX_WORDS> {
    let v = &dom.vcpus[cpu];
    let masked = dom.upcalls_masked(cpu);
    // A kernel finds itself in ring 0.
    let cs = if v.kernel_mode { regs.cs & !3 } else { regs.cs };
    let mut rflags = regs.rflags & !(RFLAGS_IF | RFLAGS_IOPL);
    if !masked {
        rflags |= RFLAGS_IF;
    }
    if dom.assists(VMASST_TYPE_ARCHITECTURAL_IOPL) {
        rflags |= u64::from(v.iopl) << 12;
    }
    let mut words = ArrayVec::from_iter([regs.rcx, regs.r11]);
    if target.selectors {
        words.extend([regs.ds, regs.es, regs.fs, regs.gs].map(u64::from));
    }
    words.extend(target.error);
    words.extend([
        regs.rip,
        u64::from(cs) | u64::from(masked) << 32,
        rflags,
        regs.rsp,
        u64::from(regs.ss),
    ]);
    words
}
