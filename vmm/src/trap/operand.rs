//! Instruction operands: registers by the decoder's names, effective addresses.

use crate::domain::{Regs, Vcpu};
use iced_x86::{Instruction, OpKind, Register};

/// The register that holds `register`, or part of it.
fn full(regs: &mut Regs, register: Register) -> Option<&mut u64> {
    Some(match register.full_register() {
        Register::RAX => &mut regs.rax,
        Register::RBX => &mut regs.rbx,
        Register::RCX => &mut regs.rcx,
        Register::RDX => &mut regs.rdx,
        Register::RSI => &mut regs.rsi,
        Register::RDI => &mut regs.rdi,
        Register::RBP => &mut regs.rbp,
        Register::RSP => &mut regs.rsp,
        Register::R8 => &mut regs.r8,
        Register::R9 => &mut regs.r9,
        Register::R10 => &mut regs.r10,
        Register::R11 => &mut regs.r11,
        Register::R12 => &mut regs.r12,
        Register::R13 => &mut regs.r13,
        Register::R14 => &mut regs.r14,
        Register::R15 => &mut regs.r15,
        _ => return None,
    })
}

/// The lowest bit of `register` in its full register: 8 for AH, BH, CH and DH.
fn shift(register: Register) -> u32 {
    match register {
        Register::AH | Register::BH | Register::CH | Register::DH => 8,
        _ => 0,
    }
}

/// The low `size` bytes set.
pub(super) fn mask(size: usize) -> u64 {
    match size {
        1..=7 => (1 << (size * 8)) - 1,
        _ => u64::MAX,
    }
}

/// A general register's value.
pub(super) fn get(regs: &Regs, register: Register) -> Option<u64> {
    let mut copy = *regs;
    let value = *full(&mut copy, register)?;
    Some(value >> shift(register) & mask(register.size()))
}

/// Sets a general register as the CPU does: 4 bytes clear the upper half, 1 and 2 keep the rest.
pub(super) fn set(regs: &mut Regs, register: Register, value: u64) {
    let (size, shift) = (register.size(), shift(register));
    let Some(full) = full(regs, register) else {
        return;
    };
    let mask = mask(size) << shift;
    let kept = if size == 4 { 0 } else { *full & !mask };
    *full = kept | (value << shift & mask);
}

/// The value of operand `index`: a register or an immediate.
pub(super) fn value(regs: &Regs, instruction: &Instruction, index: u32) -> Option<u64> {
    match instruction.op_kind(index) {
        OpKind::Register => get(regs, instruction.op_register(index)),
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64 => Some(instruction.immediate(index)),
        _ => None,
    }
}

/// The address of memory operand `index`.
pub(super) fn address(v: &Vcpu, regs: &Regs, instruction: &Instruction, index: u32) -> Option<u64> {
    instruction.virtual_address(index, 0, |register, _, _| match register {
        Register::FS => Some(v.fs_base),
        Register::GS => Some(v.gs_base()),
        Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
        other => get(regs, other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_register_are_written_as_the_cpu_does() {
        let mut regs = Regs {
            rax: u64::MAX,
            ..Regs::default()
        };
        set(&mut regs, Register::AH, 0x12);
        assert_eq!(regs.rax, 0xffff_ffff_ffff_12ff);
        assert_eq!(get(&regs, Register::AX), Some(0x12ff));
        set(&mut regs, Register::EAX, 7);
        assert_eq!(regs.rax, 7);
        assert_eq!(get(&regs, Register::AH), Some(0));
        assert_eq!(get(&regs, Register::XMM0), None);
    }
}
