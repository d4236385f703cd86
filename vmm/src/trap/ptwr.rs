//! Writable page tables: the kernel's own writes to a live L1, which is mapped read-only, are
//! caught, checked by the same rules as `mmu_update`, and applied.
//!
//! Only if the guest asked for it (`vm_assist`); aligned writes of 1, 2, 4 and 8 bytes and
//! read-modify-writes, locked or not. Anything else is the guest's page fault.

use super::operation::{Effect, Operands, operate};
use super::{Fault, instruction, operand};
use crate::domain::{Domain, Regs};
use crate::mm::{GuestView, Refusal};
use hypercalls::trap::{PFEC_PRESENT, PFEC_WRITE};
use hypercalls::vm_assist::VMASST_TYPE_WRITABLE_PAGETABLES;
use hypercalls::{Maddr, Vaddr};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// How often a write is tried again because the CPU changed the entry meanwhile.
const RETRIES: usize = 8;

/// A write to be applied.
struct Write {
    instruction: Instruction,
    /// The operand: an aligned part of an entry.
    at: Maddr,
    size: usize,
}

/// Applies the faulting instruction if it is a write to a live L1; whether it did.
pub(super) fn write(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: &Fault) -> bool {
    let Some(write) = recognize(dom, cpu, regs, fault) else {
        return false;
    };
    let Some(effect) = apply(dom, regs, &write) else {
        return false;
    };
    dom.stats.counters.emulated_writes += 1;
    dom.lab.emulated_write();
    attribute(dom, cpu, regs);
    finish(regs, &write, &effect);
    true
}

/// Counts it in an open operation, from where the kernel stands.
fn attribute(dom: &mut Domain, cpu: usize, regs: &Regs) {
    if !dom.attribution.is_open() {
        return;
    }
    let v = &dom.vcpus[cpu];
    let view = GuestView {
        mem: &dom.memory,
        root: v.kernel_base,
    };
    let attribution = &mut dom.attribution;
    attribution.emulated_write(v.kernel_sp, |a| a.chain(&view, regs));
}

fn recognize(dom: &Domain, cpu: usize, regs: &Regs, fault: &Fault) -> Option<Write> {
    let v = &dom.vcpus[cpu];
    let write_to_present = PFEC_PRESENT | PFEC_WRITE;
    let asked = v.kernel_mode && dom.assists(VMASST_TYPE_WRITABLE_PAGETABLES);
    if !asked || fault.error & write_to_present != write_to_present {
        return None;
    }
    let instruction = instruction::decode(dom, cpu, regs)?;
    let (memory, _) = memory_operand(&instruction)?;
    let size = instruction.memory_size().size();
    let base = operand::address(v, regs, &instruction, memory)?;
    let va = Vaddr(base.wrapping_add(bit_displacement(regs, &instruction, size)?));
    if va.page() != fault.cr2.page() {
        return None;
    }
    let at = (dom.mm).write_target(&dom.memory, v.kernel_base, va, size)?;
    Some(Write {
        instruction,
        at,
        size,
    })
}

/// Which operand is the memory, and which the other one. `xchg` has them either way.
fn memory_operand(instruction: &Instruction) -> Option<(u32, u32)> {
    let memory = |index| instruction.op_kind(index) == OpKind::Memory;
    match instruction.op_count() {
        2 if memory(0) => Some((0, 1)),
        2 if memory(1) && instruction.mnemonic() == Mnemonic::Xchg => Some((1, 0)),
        _ => None,
    }
}

/// A bit operation with its number in a register reaches beyond the operand the address names.
fn bit_displacement(regs: &Regs, instruction: &Instruction, size: usize) -> Option<u64> {
    let is_bit = matches!(
        instruction.mnemonic(),
        Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    );
    if !is_bit || instruction.op_kind(1) != OpKind::Register {
        return Some(0);
    }
    let register = instruction.op_register(1);
    let raw = operand::get(regs, register)?;
    let number = match register.size() {
        8 => raw as i64,
        4 => i64::from(raw as i32),
        _ => i64::from(raw as i16),
    };
    let bits = size as i64 * 8;
    Some((number.div_euclid(bits) * size as i64) as u64)
}

/// Computes and stores, again if the entry changed in between.
fn apply(dom: &mut Domain, regs: &Regs, write: &Write) -> Option<Effect> {
    let (_, other) = memory_operand(&write.instruction)?;
    let source = operand::value(regs, &write.instruction, other)?;
    for _ in 0..RETRIES {
        let mut old = [0; 8];
        let part = &mut old[..write.size];
        dom.memory.read(write.at, part).ok()?;
        let old = u64::from_le_bytes(old);
        let operands = Operands {
            old,
            source: source & operand::mask(write.size),
            accumulator: regs.rax,
            size: write.size,
        };
        let effect = operate(write.instruction.mnemonic(), &operands)?;
        let Some(new) = effect.new else {
            return Some(effect);
        };
        let (at, size) = (write.at, write.size);
        let written = (dom.mm).emulate_write(&dom.memory, at, size, Some(old), new);
        match written {
            Ok(Ok(_)) => return Some(effect),
            Ok(Err(_)) => {}
            // It is tried again when the host has flushed.
            Err(Refusal::Unfinished) => return None,
            Err(refusal) => {
                // Counted by its reason; the guest gets the page fault.
                dom.mm.refuse(refusal);
                return None;
            }
        }
    }
    None
}

fn finish(regs: &mut Regs, write: &Write, effect: &Effect) {
    let (changed, flags) = effect.flags;
    regs.rflags = regs.rflags & !changed | flags;
    if let Some(value) = effect.accumulator {
        let part = match write.size {
            1 => Register::AL,
            2 => Register::AX,
            4 => Register::EAX,
            _ => Register::RAX,
        };
        operand::set(regs, part, value);
    }
    if let (Some(value), Some((_, other))) = (effect.source, memory_operand(&write.instruction)) {
        operand::set(regs, write.instruction.op_register(other), value);
    }
    regs.rip = write.instruction.next_ip();
}
