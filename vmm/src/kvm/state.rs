//! A vCPU's registers as KVM holds them: what they are at the start, segments for CPL0 and CPL3,
//! and general registers from and to the guest's.

use super::install;
use super::layout::{self, HvLayout};
use super::open::HostError;
use crate::domain::{RFLAGS_FIXED, RFLAGS_IF, RFLAGS_NT, Regs, safe_flags};
use kvm_bindings::{Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs, kvm_xcrs};
use kvm_ioctls::VcpuFd;

/// CR0: PE, MP, ET, NE, WP, PG.
const CR0: u64 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
/// CR0.TS: the next use of the FPU faults.
pub(super) const CR0_TS: u64 = 1 << 3;
/// CR4.OSXSAVE: extended state is in use.
pub(super) const CR4_OSXSAVE: u64 = 1 << 18;
/// CR4: PAE, OSFXSR, OSXMMEXCPT. No SMEP, SMAP, UMIP, CET, LASS or FRED, whatever the host has on:
/// where SYSCALL stays at CPL3 the entry page is user-executable, and the probe's always is.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10;
/// EFER: SCE, LME, LMA, NXE.
const EFER: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;
/// CR3 bit 3 (PWT of the walk's first access): flipping it makes CR3 a new value, which makes
/// KVM flush, and changes nothing else.
pub(super) const CR3_FLUSH_BIT: u64 = 1 << 3;

/// The time-stamp counter.
pub(super) const MSR_TSC: u32 = 0x10;
const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_CSTAR: u32 = 0xc000_0083;
const MSR_SYSCALL_MASK: u32 = 0xc000_0084;
/// What SYSCALL clears: all flags that CPL3 may set, IF and NT.
const SYSCALL_CLEARS: u64 = safe_flags(u64::MAX) & !RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT;

pub(super) fn set_msrs(fd: &VcpuFd) -> Result<(), HostError> {
    let star = u64::from(install::USER_CS32) << 48 | u64::from(install::KERNEL_CS) << 32;
    let entry = |index, data| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    };
    // CSTAR: 32-bit code that uses AMD's SYSCALL lands on the same page.
    let wanted = [
        entry(MSR_STAR, star),
        entry(MSR_LSTAR, layout::BASE.0),
        entry(MSR_CSTAR, layout::BASE.0),
        entry(MSR_SYSCALL_MASK, SYSCALL_CLEARS),
    ];
    let msrs = Msrs::from_entries(&wanted)
        .map_err(|e| HostError::Unsuitable(format!("list of MSRs: {e:?}")))?;
    match fd.set_msrs(&msrs).map_err(HostError::ioctl("set MSRs"))? {
        n if n == wanted.len() => Ok(()),
        n => Err(HostError::Unsuitable(format!(
            "KVM refused MSR {:#x}",
            wanted[n].index
        ))),
    }
}

/// XCR0 in KVM's form.
pub(super) fn xcrs(xcr0: u64) -> kvm_xcrs {
    let mut xcrs = kvm_xcrs {
        nr_xcrs: 1,
        ..kvm_xcrs::default()
    };
    xcrs.xcrs[0].value = xcr0;
    xcrs
}

pub(super) fn init_sregs(sregs: &mut kvm_sregs, layout: &HvLayout, cpu: u64) {
    (sregs.cr0, sregs.cr4, sregs.efer) = (CR0, CR4, EFER);
    sregs.cs = code_segment(install::USER_CS, 3);
    sregs.ss = data_segment(install::USER_SS, 3);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs] {
        *segment = kvm_segment {
            unusable: 1,
            ..kvm_segment::default()
        };
    }
    let tables = HvLayout::frame_va(layout.tables());
    sregs.idt.base = tables.0;
    sregs.idt.limit = (layout::IDT_GATES * 16 - 1) as u16;
    sregs.gdt.base = tables.0 + layout::GDT_OFFSET;
    sregs.gdt.limit = install::GDT_SIZE - 1;
    sregs.tr = kvm_segment {
        base: HvLayout::frame_va(layout.cpu(cpu)).0,
        limit: u32::from(install::TSS_SIZE) - 1,
        selector: 0x40,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    sregs.ldt = kvm_segment {
        unusable: 1,
        ..kvm_segment::default()
    };
}

pub(super) fn code_segment(selector: u16, dpl: u8) -> kvm_segment {
    let long = u8::from(selector != install::USER_CS32);
    kvm_segment {
        limit: u32::MAX,
        selector,
        type_: 11,
        present: 1,
        dpl,
        db: 1 - long,
        s: 1,
        l: long,
        g: 1,
        ..kvm_segment::default()
    }
}

pub(super) fn data_segment(selector: u16, dpl: u8) -> kvm_segment {
    kvm_segment {
        type_: 3,
        l: 0,
        db: 1,
        ..code_segment(selector, dpl)
    }
}

/// FS or GS: only the base counts in 64-bit code; 32-bit code needs a segment too.
pub(super) fn thread_segment(
    now: &kvm_segment,
    compat: bool,
    selector: u16,
    base: u64,
) -> kvm_segment {
    let segment = match compat && selector & !3 != 0 {
        true => data_segment(selector | 3, 3),
        false => *now,
    };
    kvm_segment { base, ..segment }
}

pub(super) fn to_kvm(r: &Regs) -> kvm_regs {
    kvm_regs {
        rax: r.rax,
        rbx: r.rbx,
        rcx: r.rcx,
        rdx: r.rdx,
        rsi: r.rsi,
        rdi: r.rdi,
        rsp: r.rsp,
        rbp: r.rbp,
        r8: r.r8,
        r9: r.r9,
        r10: r.r10,
        r11: r.r11,
        r12: r.r12,
        r13: r.r13,
        r14: r.r14,
        r15: r.r15,
        rip: r.rip,
        rflags: safe_flags(r.rflags),
    }
}

pub(super) fn from_kvm(k: &kvm_regs, r: &mut Regs) {
    *r = Regs {
        rax: k.rax,
        rbx: k.rbx,
        rcx: k.rcx,
        rdx: k.rdx,
        rsi: k.rsi,
        rdi: k.rdi,
        rsp: k.rsp,
        rbp: k.rbp,
        r8: k.r8,
        r9: k.r9,
        r10: k.r10,
        r11: k.r11,
        r12: k.r12,
        r13: k.r13,
        r14: k.r14,
        r15: k.r15,
        rip: k.rip,
        rflags: k.rflags,
        ..*r
    };
}
