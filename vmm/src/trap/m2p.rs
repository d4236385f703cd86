//! Guests that read the machine-to-physical table at the address Xen's headers give, without
//! asking where it is: not every host can map that address, so their loads are emulated.

use super::{Fault, instruction, operand};
use crate::domain::{Domain, Regs};
use hypercalls::Vaddr;
use hypercalls::trap::PFEC_WRITE;
use iced_x86::{Mnemonic, OpKind};

/// `MACH2PHYS_VIRT_START` (`arch-x86/xen-x86_64.h`).
const HARD_CODED: Vaddr = Vaddr::from_l4_slot(256);

/// Carries out a kernel's `mov` from the table; whether it was one.
pub(super) fn read(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: &Fault) -> bool {
    let offset = fault.cr2.0.wrapping_sub(HARD_CODED.0);
    let inside = offset < dom.memory.frames() * 8;
    if !inside || fault.error & PFEC_WRITE != 0 || !dom.vcpus[cpu].kernel_mode {
        return false;
    }
    load(dom, cpu, regs).is_some()
}

fn load(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Option<()> {
    let decoded = instruction::decode(dom, cpu, regs)?;
    let is_load = decoded.mnemonic() == Mnemonic::Mov
        && decoded.op0_kind() == OpKind::Register
        && decoded.op1_kind() == OpKind::Memory;
    let at = operand::address(&dom.vcpus[cpu], regs, &decoded, 1).filter(|_| is_load)?;
    let offset = at.wrapping_sub(HARD_CODED.0);
    let word = match offset < dom.memory.frames() * 8 && offset.is_multiple_of(8) {
        true => dom.memory.read_u64(dom.host.m2p.add(offset)).ok()?,
        false => return None,
    };
    operand::set(regs, decoded.op0_register(), word);
    regs.rip = decoded.next_ip();
    dom.stats.counters.emulated_instructions += 1;
    Some(())
}
