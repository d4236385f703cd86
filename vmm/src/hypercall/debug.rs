//! `set_debugreg`, `get_debugreg`, `fpu_taskswitch`.

use super::Answer;
use crate::domain::Domain;
use hypercalls::pte::HYPERVISOR_L4_SLOTS;
use hypercalls::{Errno, Level, Vaddr};

/// DR7's general-detect bit: it would make the hypervisor's own accesses fault.
const DR7_GD: u64 = 1 << 13;
/// DR7's enable bits, and its code for a break on I/O.
const DR7_ARMED: u64 = 0xff;
const IO: u64 = 2;
/// DR7's bits that read as 1, and those a guest may set.
const DR7_FIXED: u64 = 1 << 10;
const DR7_GUEST: u64 = 0xffff_0fff & !DR7_GD & !(1 << 11) & !(1 << 12);
/// DR6's bits that read as 1, and those that can be set.
const DR6_FIXED: u64 = 0xffff_0ff0;
const DR6_GUEST: u64 = 0xe00f;

/// A breakpoint's address, the status or the control register.
pub(super) fn set_debugreg(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let (value, n) = (args[1], number(args[0])?);
    let safe = match n {
        0..=3 if !is_guest(Vaddr(value)) => return Err(Errno::EPERM),
        0..=3 => value,
        _ if value >> 32 != 0 => return Err(Errno::EINVAL),
        6 => (value & DR6_GUEST) | DR6_FIXED,
        _ if value & DR7_GD != 0 || breaks_on_io(value) => return Err(Errno::EPERM),
        _ => (value & DR7_GUEST) | DR7_FIXED,
    };
    let v = &mut dom.vcpus[cpu];
    v.debugregs[n] = safe;
    v.debugregs_dirty = true;
    Ok(0)
}

/// A debug register's value.
pub(super) fn get_debugreg(dom: &Domain, cpu: usize, args: [u64; 6]) -> Answer {
    Ok(dom.vcpus[cpu].debugregs[number(args[0])?] as i64)
}

/// The register of that number; 4 and 5 are other names of 6 and 7.
fn number(asked: u64) -> Result<usize, Errno> {
    match asked as u32 {
        n @ (0..=3 | 6 | 7) => Ok(n as usize),
        n @ (4 | 5) => Ok(n as usize + 2),
        _ => Err(Errno::ENODEV),
    }
}

/// Whether a control value arms anything and asks for a break on I/O: that needs CR4.DE.
fn breaks_on_io(control: u64) -> bool {
    let kinds = (16..32).step_by(4).map(|shift| control >> shift & 3);
    control & DR7_ARMED != 0 && kinds.into_iter().any(|kind| kind == IO)
}

/// CR0.TS: whether the next use of the FPU faults.
pub(super) fn fpu_taskswitch(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    dom.vcpus[cpu].ts = args[0] != 0;
    Ok(0)
}

/// An address a breakpoint may be on: the guest's own.
fn is_guest(va: Vaddr) -> bool {
    va.is_canonical() && !HYPERVISOR_L4_SLOTS.contains(&va.slot(Level::L4))
}
