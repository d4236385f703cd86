//! Privileged instructions at CPL3: those a PV kernel may use are carried out, the rest fault.

use super::deliver::user_sysenter;
use super::{Fate, Fault, instruction, int, msr, operand, port, selector};
use crate::attribution::marker;
use crate::domain::{CR4_OSXSAVE, Domain, Regs};
use crate::mm::Refusal;
use hypercalls::{Maddr, measure};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// `ud2` and the letters "xen": the next instruction, which is `cpuid`, is to be emulated.
const FORCED_CPUID: [u8; 7] = [0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2];
/// The opcode of `int n`.
const INT_N: u8 = 0xcd;

/// CR0 as a kernel sees it: PE, MP, ET, NE, WP, AM, PG.
const CR0: u64 = 0x8005_0033;
const CR0_TS: u64 = 1 << 3;
/// CR4 bits that are always there: PAE, OSFXSR, OSXMMEXCPT.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10;
/// CR4 bits a kernel may set beside: VME, PVI, TSD, DE, MCE, PCE. They change nothing here.
const CR4_GUEST: u64 = 0b1111 | 1 << 6 | 1 << 8;
/// `xsetbv` writes XCR0 with ecx = 0; there is no other.
const XCR0: u32 = 0;

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
    let Some(decoded) = instruction::decode(dom, cpu, regs) else {
        return Fate::Guest(fault);
    };
    if decoded.op0_register() == Register::CR3 && dom.vcpus[cpu].kernel_mode {
        return load_table(dom, cpu, regs, &decoded, fault);
    }
    if decoded.mnemonic() == Mnemonic::Sysenter && !dom.vcpus[cpu].kernel_mode {
        return user_sysenter(dom, cpu, regs).map_or(Fate::Guest(fault), Fate::Entered);
    }
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
        if !marked(dom, cpu, regs) {
            cpuid(dom, cpu, regs);
        }
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
            cpuid(dom, cpu, regs);
            return Some(());
        }
        Mnemonic::Mov if decoded.op0_register().is_segment_register() => {
            return load_selector(dom, cpu, regs, decoded);
        }
        Mnemonic::In => return port::input(dom, cpu, regs, decoded),
        Mnemonic::Out => return port::output(dom, cpu, regs, decoded),
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
        Mnemonic::Wbinvd | Mnemonic::Wbnoinvd | Mnemonic::Invd => Some(()),
        Mnemonic::Cli | Mnemonic::Sti => (dom.vcpus[cpu].iopl >= 1).then_some(()),
        Mnemonic::Xsetbv => {
            let value = regs.rdx << 32 | regs.rax & 0xffff_ffff;
            set_xcr0(dom, cpu, regs.rcx as u32, value)
        }
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

fn set_xcr0(dom: &mut Domain, cpu: usize, register: u32, value: u64) -> Option<()> {
    let v = &mut dom.vcpus[cpu];
    let allowed = register == XCR0 && v.cr4 & CR4_OSXSAVE != 0 && dom.cpuid.may_set_xcr0(value);
    allowed.then(|| v.xcr0 = value)
}

/// Answers user mode's `cpuid` if it is a marker that somebody listens to; whether it was.
fn marked(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> bool {
    let is_marker = !dom.vcpus[cpu].kernel_mode && regs.rax as u32 == measure::LEAF;
    let Some(answer) = is_marker.then(|| marker(dom, cpu, regs)).flatten() else {
        return false;
    };
    [regs.rax, regs.rbx, regs.rcx, regs.rdx] = answer.map(u64::from);
    true
}

fn cpuid(dom: &Domain, cpu: usize, regs: &mut Regs) {
    let v = &dom.vcpus[cpu];
    let (leaf, subleaf) = (regs.rax as u32, regs.rcx as u32);
    // A PV kernel takes OSXSAVE for leave to use XSAVE: it sees it before it sets CR4, as on Xen.
    let osxsave = v.kernel_mode || v.osxsave();
    let leaf = dom.cpuid.answer(leaf, subleaf, osxsave, v.xcr0);
    [regs.rax, regs.rbx, regs.rcx, regs.rdx] = leaf.map(u64::from);
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
        Register::CR4 => {
            let xsave = if dom.cpuid.xcr0() == 0 {
                0
            } else {
                CR4_OSXSAVE
            };
            v.cr4 = (value & !(CR4 | CR4_GUEST | xsave) == 0).then_some(value)?;
        }
        _ => return None,
    }
    Some(())
}

/// `mov` to CR3, as `MMUEXT_NEW_BASEPTR`.
fn load_table(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    decoded: &Instruction,
    fault: Fault,
) -> Fate {
    let Some(value) = operand::get(regs, decoded.op1_register()) else {
        return Fate::Guest(fault);
    };
    let (old, new) = (dom.vcpus[cpu].kernel_base, Maddr(value).mfn());
    match dom.mm.new_baseptr(&dom.memory, Some(old), new) {
        Ok(()) => {
            dom.vcpus[cpu].kernel_base = new;
            dom.mm.flush_all(1 << cpu);
            done(dom, cpu, regs, decoded.next_ip())
        }
        Err(Refusal::Unfinished) => Fate::Later,
        Err(refusal) => {
            dom.mm.refuse(refusal);
            Fate::Guest(fault)
        }
    }
}
