//! What is a vCPU's own stays so, on KVM: extended registers over exits and beside another vCPU's,
//! and the exception that is on its way when a kick comes.

use hypercalls::mmu::MMUEXT_TLB_FLUSH_ALL;
use hypercalls::sched::{SCHEDOP_YIELD, SHUTDOWN_POWEROFF};
use hypercalls::trap::BP;
use hypercalls::vcpu::*;
use hypercalls::{DOMID_SELF, Nr};
use std::cell::Cell;
use std::mem::offset_of;
use std::process::ExitCode;
use std::time::Duration;
use tests::asm::{Asm, Label, Reg::*};
use tests::runner::{Check, Checked, Skip, main as run};
use tests::tiny::{
    CODE, Tiny, context, data, host, one_handler, put, return_from_fault, table_frame,
};
use xenlet::domain::Domain;
use xenlet::kvm::Ending;

/// A vCPU's patterns, 32 bytes each.
const PATTERNS: [u64; 2] = [data(20), data(21)];
/// `ud2`: the guest crashes, for it has no handler.
const UD2: [u8; 2] = [0x0f, 0x0b];

fn main() -> ExitCode {
    run(vec![
        Check::new("extended_registers_are_kept", extended_registers_are_kept),
        Check::new("no_breakpoint_is_lost", no_breakpoint_is_lost),
        Check::new("nor_one_whose_int3_is_gone", nor_one_whose_int3_is_gone),
    ])
}

#[track_caller]
fn must_power_off(guest: Tiny) -> Checked {
    let outcome = guest.limit(Duration::from_secs(60)).run()?;
    let off = matches!(outcome.ending, Ending::Shutdown(SHUTDOWN_POWEROFF));
    assert!(off, "{:?}", outcome.ending);
    Ok(())
}

/// A guest of two vCPUs: the second begins at what `second` writes, with a stack of its own. What
/// `handler` writes is at [`HANDLER`].
fn two(
    handler: impl FnOnce(&mut Asm),
    first: impl FnOnce(&mut Asm),
    second: impl FnOnce(&mut Asm),
    setup: impl FnOnce(&Domain) + 'static,
) -> Tiny {
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let mut entry = 0;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        handler(a);
        entry = a.here();
        second(a);
        a.bind(start).mov(Rsp, data(40));
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
        first(a);
        a.power_off();
    });
    guest.cpus(2).data(move |dom| {
        let l4 = table_frame(dom, 0).maddr().0;
        context(dom, &[(rip, entry), (rsp, data(50)), (cr3, l4)]);
        setup(dom);
    })
}

/// The state a kernel saves for its programs must be all they have: two vCPUs, each with a pattern
/// of its own in ymm0, make hypercalls and look whether it is still there.
fn extended_registers_are_kept() -> Checked {
    if !std::arch::is_x86_feature_detected!("avx2") {
        return Err(Skip("this CPU has no AVX2".into()));
    }
    if host()?.probe.xcr0 & XCR0_AVX == 0 {
        return Err(Skip("this host's KVM offers guests no AVX".into()));
    }
    let body = |a: &mut Asm, cpu: usize, bad: Label| {
        use_extended_state(a);
        a.mov(Rbx, PATTERNS[cpu]).mov(R14, 2000);
        a.bytes(&[0xc5, 0xfc, 0x10, 0x03]); // vmovups (%rbx),%ymm0
        let again = a.mark();
        a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_YIELD)]);
        a.bytes(&[0xc5, 0xfc, 0x57, 0x0b]); // vxorps (%rbx),%ymm0,%ymm1
        a.bytes(&[0xc4, 0xe2, 0x7d, 0x17, 0xc9]).jnz(bad); // vptest %ymm1,%ymm1
        a.dec(R14).jnz(again);
    };
    let second = |a: &mut Asm| {
        let bad = a.label();
        let again = a.mark();
        body(a, 1, bad);
        a.jmp(again).bind(bad).bytes(&UD2);
    };
    let first = |a: &mut Asm| {
        let (bad, good) = (a.label(), a.label());
        body(a, 0, bad);
        a.jmp(good).bind(bad).bytes(&UD2).bind(good);
    };
    must_power_off(two(
        |_| {},
        first,
        second,
        |dom| {
            for (cpu, at) in PATTERNS.into_iter().enumerate() {
                put(dom, at, &[0x1111_2222_3333_4444 << cpu; 4]);
            }
        },
    ))
}

/// The upper halves of the ymm registers.
const XCR0_AVX: u64 = 1 << 2;

/// CR4.OSXSAVE on, then XCR0 = x87, SSE, AVX, as a PV kernel does both.
fn use_extended_state(a: &mut Asm) {
    a.bytes(&[0x0f, 0x20, 0xe0]) // mov %cr4,%rax
        .bytes(&[0x0d, 0, 0, 4, 0]) // or $0x40000,%eax
        .bytes(&[0x0f, 0x22, 0xe0]) // mov %rax,%cr4
        .mov(Rax, 7)
        .mov(Rdx, 0)
        .mov(Rcx, 0)
        .bytes(&[0x0f, 0x01, 0xd1]); // xsetbv
}

/// Where [`two`] has the handler of #BP.
const HANDLER: u64 = CODE + 5;
/// Breakpoints of [`no_breakpoint_is_lost`].
const BREAKPOINTS: u64 = 3000;

/// Counts in r15, and returns.
fn return_from_breakpoint(a: &mut Asm) {
    a.bytes(&[0x49, 0xff, 0xc7]); // inc %r15
    return_from_fault(a, false);
}

/// KVM may stop behind an `int3` whose exception it has yet to deliver. One vCPU makes nothing but
/// breakpoints while the other has it kicked all the time: each must arrive once.
fn no_breakpoint_is_lost() -> Checked {
    let second = |a: &mut Asm| {
        let again = a.mark();
        a.hypercall(Nr::MmuextOp, &[data(1), 1, 0, u64::from(DOMID_SELF)])
            .jmp(again);
    };
    let first = |a: &mut Asm| {
        a.hypercall(Nr::SetTrapTable, &[data(0)])
            .mov(R15, 0)
            .mov(R14, BREAKPOINTS / 3);
        let (again, bad, good) = (a.mark(), a.label(), a.label());
        a.bytes(&[0xcc, 0xcc, 0x90, 0xcc]).dec(R14).jnz(again);
        a.bytes(&[0x49, 0x81, 0xff]) // cmp $BREAKPOINTS,%r15
            .bytes(&(BREAKPOINTS as u32).to_le_bytes())
            .jnz(bad)
            .jmp(good)
            .bind(bad)
            .bytes(&UD2)
            .bind(good);
    };
    must_power_off(two(return_from_breakpoint, first, second, |dom| {
        put(dom, data(1), &[u64::from(MMUEXT_TLB_FLUSH_ALL), 0, 0]);
        one_handler(BP, HANDLER)(dom);
    }))
}

/// A five-byte `nop`, as kernels put where they may want to jump.
const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];
/// A kernel that patches itself has an `int3` in the place of an instruction's first byte for a
/// while. One vCPU executes the instruction, the other puts the `int3` there and takes it away, and
/// has the first kicked. A breakpoint that is lost leaves rip at the second byte, which is no
/// instruction.
fn nor_one_whose_int3_is_gone() -> Checked {
    let site = Cell::new(None);
    let handler = |a: &mut Asm| {
        site.set(Some(a.label()));
        // add $4,16(%rsp): past the instruction
        a.bytes(&[0x48, 0x83, 0x44, 0x24, 0x10, 4]);
        return_from_breakpoint(a);
    };
    let label = || site.get().expect("the handler comes first");
    let second = |a: &mut Asm| {
        a.mov_label(Rbx, label());
        let patch = a.mark();
        for first in [0xcc, NOP[0]] {
            a.bytes(&[0xc6, 0x03, first]); // movb $first,(%rbx)
            a.hypercall(Nr::MmuextOp, &[data(1), 1, 0, u64::from(DOMID_SELF)]);
        }
        a.jmp(patch);
    };
    let first = |a: &mut Asm| {
        a.hypercall(Nr::SetTrapTable, &[data(0)]).mov(R15, 0);
        a.bind(label()).bytes(&NOP);
        a.bytes(&[0x49, 0x81, 0xff]) // cmp $BREAKPOINTS,%r15
            .bytes(&(BREAKPOINTS as u32).to_le_bytes())
            .jnz(label());
    };
    must_power_off(two(handler, first, second, |dom| {
        put(dom, data(1), &[u64::from(MMUEXT_TLB_FLUSH_ALL), 0, 0]);
        one_handler(BP, HANDLER)(dom);
    }))
}
