//! Privileged instructions at CPL3: those a PV kernel may use are carried out, the rest fault.

use super::{Fate, Fault, instruction, int, msr, operand, selector};
use crate::domain::{Domain, Regs};
use hypercalls::{Maddr, Mfn};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// `ud2` and the letters "xen": the next instruction, which is `cpuid`, is to be emulated.
const FORCED_CPUID: [u8; 7] = [0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2];
/// The opcode of `int n`.
const INT_N: u8 = 0xcd;

/// Ports that read 0: the timer's counter and its gate. A guest that calibrates by them gives up
/// at once instead of spinning.
const ZERO_PORTS: [u16; 2] = [0x42, 0x61];

/// CR0 as a kernel sees it: PE, MP, ET, NE, WP, AM, PG.
const CR0: u64 = 0x8005_0033;
const CR0_TS: u64 = 1 << 3;
/// CR4 bits that are always there: PAE, OSFXSR, OSXMMEXCPT.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10;
/// CR4 bits a kernel may set beside: VME, PVI, TSD, DE, MCE, PCE. They change nothing here.
const CR4_GUEST: u64 = 0b1111 | 1 << 6 | 1 << 8;

/// #GP: `int n`, a selector load, or a privileged instruction.
pub(super) fn general_protection(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    fault: Fault,
) -> Fate {
    if let Some(number) = int::of_error(fault.error) {
        return int::software(dom, cpu, regs, number);
    }
    let Some(decoded) = instruction::decode(dom, cpu, regs.rip) else {
        return Fate::Guest(fault);
    };
    match emulate(dom, cpu, regs, &decoded) {
        Some(()) => done(dom, cpu, regs, decoded.next_ip()),
        None => Fate::Guest(fault),
    }
}

/// #UD: the forced-emulation prefix, or an `int n` that this host's CPU does not take.
pub(super) fn invalid_opcode(dom: &mut Domain, cpu: usize, regs: &mut Regs, fault: Fault) -> Fate {
    let (bytes, len) = instruction::fetch(dom, cpu, regs.rip);
    let bytes = &bytes[..len];
    if bytes.starts_with(&FORCED_CPUID) {
        cpuid(dom, regs);
        let next = regs.rip.wrapping_add(FORCED_CPUID.len() as u64);
        return done(dom, cpu, regs, next);
    }
    match bytes {
        [INT_N, number, ..] => int::software(dom, cpu, regs, *number),
        _ => Fate::Guest(fault),
    }
}

fn done(dom: &mut Domain, cpu: usize, regs: &mut Regs, next: u64) -> Fate {
    regs.rip = next;
    dom.vcpus[cpu].streak.times = 0;
    dom.stats.counters.emulated_instructions += 1;
    Fate::Resolved
}

/// Carries an instruction out, all but moving rip; `None` if it is not one of ours.
fn emulate(dom: &mut Domain, cpu: usize, regs: &mut Regs, decoded: &Instruction) -> Option<()> {
    match decoded.mnemonic() {
        Mnemonic::Cpuid => {
            cpuid(dom, regs);
            return Some(());
        }
        Mnemonic::Mov if decoded.op0_register().is_segment_register() => {
            return load_selector(dom, cpu, regs, decoded);
        }
        _ => {}
    }
    // The rest is for kernels only.
    dom.vcpus[cpu].kernel_mode.then_some(())?;
    match decoded.mnemonic() {
        Mnemonic::Rdmsr => {
            let value = msr::read(&dom.vcpus[cpu], regs.rcx as u32)?;
            (regs.rax, regs.rdx) = (value & 0xffff_ffff, value >> 32);
            Some(())
        }
        Mnemonic::Wrmsr => {
            let value = regs.rdx << 32 | regs.rax & 0xffff_ffff;
            msr::write(dom, cpu, regs.rcx as u32, value)
        }
        Mnemonic::In => input(regs, decoded),
        Mnemonic::Out | Mnemonic::Wbinvd | Mnemonic::Wbnoinvd | Mnemonic::Invd => Some(()),
        Mnemonic::Cli | Mnemonic::Sti => (dom.vcpus[cpu].iopl >= 1).then_some(()),
        Mnemonic::Clts => {
            dom.vcpus[cpu].ts = false;
            Some(())
        }
        Mnemonic::Mov if decoded.op1_register().is_cr() => {
            let value = read_cr(dom, cpu, decoded.op1_register())?;
            operand::set(regs, decoded.op0_register(), value);
            Some(())
        }
        Mnemonic::Mov if decoded.op0_register().is_cr() => {
            let value = operand::get(regs, decoded.op1_register())?;
            write_cr(dom, cpu, decoded.op0_register(), value)
        }
        _ => None,
    }
}

fn cpuid(dom: &Domain, regs: &mut Regs) {
    let leaf = dom.cpuid.get(regs.rax as u32, regs.rcx as u32);
    [regs.rax, regs.rbx, regs.rcx, regs.rdx] = leaf.map(u64::from);
}

/// Nothing is there: all ones, but for the ports that read 0.
fn input(regs: &mut Regs, decoded: &Instruction) -> Option<()> {
    let port = operand::value(regs, decoded, 1)? as u16;
    let value = if ZERO_PORTS.contains(&port) {
        0
    } else {
        u64::MAX
    };
    operand::set(regs, decoded.op0_register(), value);
    Some(())
}

fn load_selector(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    decoded: &Instruction,
) -> Option<()> {
    let selector = match decoded.op1_kind() {
        OpKind::Register => operand::get(regs, decoded.op1_register())? as u16,
        OpKind::Memory => {
            let at = operand::address(&dom.vcpus[cpu], regs, decoded, 1)?;
            dom.view(cpu).read_obj(hypercalls::Vaddr(at)).ok()?
        }
        _ => return None,
    };
    selector::load(dom, cpu, regs, decoded.op0_register(), selector)
}

fn read_cr(dom: &Domain, cpu: usize, register: Register) -> Option<u64> {
    let v = &dom.vcpus[cpu];
    Some(match register {
        Register::CR0 if v.ts => CR0 | CR0_TS,
        Register::CR0 => CR0,
        Register::CR2 => v.cr2,
        Register::CR3 => v.kernel_base.maddr().0,
        Register::CR4 => v.cr4 | CR4,
        _ => return None,
    })
}

fn write_cr(dom: &mut Domain, cpu: usize, register: Register, value: u64) -> Option<()> {
    let v = &mut dom.vcpus[cpu];
    match register {
        Register::CR0 => v.ts = (value & !CR0_TS == CR0).then_some(value & CR0_TS != 0)?,
        Register::CR2 => v.cr2 = value,
        Register::CR3 => return load_table(dom, cpu, Maddr(value).mfn()),
        Register::CR4 => v.cr4 = (value & !(CR4 | CR4_GUEST) == 0).then_some(value)?,
        _ => return None,
    }
    Some(())
}

/// As `MMUEXT_NEW_BASEPTR`.
fn load_table(dom: &mut Domain, cpu: usize, new: Mfn) -> Option<()> {
    let old = dom.vcpus[cpu].kernel_base;
    if let Err(refusal) = dom.mm.new_baseptr(&dom.memory, Some(old), new) {
        dom.mm.refuse(refusal);
        return None;
    }
    dom.vcpus[cpu].kernel_base = new;
    dom.mm.flush_all(1 << cpu);
    Some(())
}
