//! Entries from the hypervisor: the event upcall and exceptions; return is hypercall `iret`.
//!
//! The hypervisor leaves, lowest address first: rcx, r11, [error code], rip, cs, rflags, rsp, ss.
//! Each entry turns that into the frame `iret` pops, with error code, vector and the other
//! registers below it; rax, rcx and r11 are restored by `iret` itself.
#![allow(
    unsafe_code,
    reason = "entry points and the probe of one address are assembly"
)]

use crate::{console, event, hypercall, kernel, percpu};
use core::arch::global_asm;
use guest::machine::{Access, Fault};
use hypercalls::callback::{
    CALLBACKF_MASK_EVENTS, CALLBACKOP_REGISTER, CALLBACKTYPE_EVENT, CALLBACKTYPE_FAILSAFE,
    CallbackRegister,
};
use hypercalls::trap::{FLAT_KERNEL_CS, IretContext, PF, TrapInfo};
use hypercalls::{Nr, Vaddr};

/// Registers at an entry, lowest address first.
#[repr(C)]
pub(crate) struct Frame {
    regs: [u64; 12],
    vector: u64,
    error_code: u64,
    iret: IretContext,
}

const VECTORS: usize = 20;

unsafe extern "C" {
    safe fn upcall_entry();
    safe fn failsafe_entry();
    static exception_entries: [u64; VECTORS];
    fn probe_read(va: u64, value: *mut u64) -> u64;
    fn probe_write(va: u64, value: u64) -> u64;
    safe fn probe_read_at();
    safe fn probe_write_at();
    safe fn probe_fixup();
}

global_asm!(
    r#"
    # Below the frame for iret: error code, vector, then the registers C code may change.
    .macro enter error vector
        push \error
        push $\vector
        push %rbx
        push %rdx
        push %rsi
        push %rdi
        push %rbp
        push %r8
        push %r9
        push %r10
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, %rdi
    .endm

    .text
    # rdi: the Frame. rsi: its handler. Upcalls are masked.
    handle:
        mov %rsp, %rbp
        and $-16, %rsp
        cld
        call *%rsi
        mov %rbp, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r10
        pop %r9
        pop %r8
        pop %rbp
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rbx
        add $16, %rsp
        mov ${IRET}, %eax
        syscall
        ud2

    .macro entry_without_code name vector handler
    .globl \name
    \name:
        pop %rcx
        pop %r11
        push $0
        push %rcx
        push %r11
        push %rax
        enter $0 \vector
        lea \handler(%rip), %rsi
        jmp handle
    .endm

    # The error code is where iret's flags belong: take it out, leave 0.
    .macro entry_with_code name vector handler
    .globl \name
    \name:
        pop %rcx
        pop %r11
        push %rcx
        push %r11
        push %rax
        xor %eax, %eax
        xchg %rax, 24(%rsp)
        enter %rax \vector
        lea \handler(%rip), %rsi
        jmp handle
    .endm

    entry_without_code upcall_entry 0 {upcall}
    entry_without_code failsafe_entry 0 {failsafe}
    entry_without_code exception_0 0 {exception}
    entry_without_code exception_1 1 {exception}
    entry_without_code exception_2 2 {exception}
    entry_without_code exception_3 3 {exception}
    entry_without_code exception_4 4 {exception}
    entry_without_code exception_5 5 {exception}
    entry_without_code exception_6 6 {exception}
    entry_without_code exception_7 7 {exception}
    entry_with_code exception_8 8 {exception}
    entry_without_code exception_9 9 {exception}
    entry_with_code exception_10 10 {exception}
    entry_with_code exception_11 11 {exception}
    entry_with_code exception_12 12 {exception}
    entry_with_code exception_13 13 {exception}
    entry_with_code exception_14 14 {exception}
    entry_without_code exception_15 15 {exception}
    entry_without_code exception_16 16 {exception}
    entry_with_code exception_17 17 {exception}
    entry_without_code exception_18 18 {exception}
    entry_without_code exception_19 19 {exception}

    .pushsection .rodata
    .balign 8
    .globl exception_entries
    exception_entries:
        .quad exception_0, exception_1, exception_2, exception_3, exception_4
        .quad exception_5, exception_6, exception_7, exception_8, exception_9
        .quad exception_10, exception_11, exception_12, exception_13, exception_14
        .quad exception_15, exception_16, exception_17, exception_18, exception_19
    .popsection

    .globl probe_read, probe_write, probe_read_at, probe_write_at, probe_fixup
    probe_read:
    probe_read_at:
        mov (%rdi), %rax
        mov %rax, (%rsi)
        xor %eax, %eax
        ret
    probe_write:
    probe_write_at:
        mov %rsi, (%rdi)
        xor %eax, %eax
    probe_fixup:
        ret
    "#,
    IRET = const Nr::Iret as u32,
    upcall = sym upcall,
    failsafe = sym failsafe,
    exception = sym exception,
    options(att_syntax)
);

extern "C" fn upcall(_frame: &mut Frame) {
    event::take_all();
    kernel::get().preempt_schedule_irq();
}

extern "C" fn failsafe(frame: &mut Frame) {
    panic!("failsafe callback: iret to {:#x} failed", frame.iret.rip);
}

extern "C" fn exception(frame: &mut Frame) {
    let vector = frame.vector as u8;
    let error = frame.error_code;
    let rip = frame.iret.rip;
    let probing =
        rip == probe_read_at as *const () as u64 || rip == probe_write_at as *const () as u64;
    if vector == PF && probing {
        // The probe returns the error code, never 0: bit 63 says that there was a fault.
        frame.iret.rax = error | PROBE_FAULTED;
        frame.iret.rip = probe_fixup as *const () as u64;
        return;
    }
    console::line(format_args!(
        "exception {vector} error {error:#x} at rip {rip:#x} rsp {:#x} cr2 {:#x}",
        frame.iret.rsp,
        percpu::cr2(),
    ));
    crate::panic::shutdown(hypercalls::sched::SHUTDOWN_CRASH)
}

const PROBE_FAULTED: u64 = 1 << 63;

/// Uses `va` and survives the fault.
pub(crate) fn probe(va: Vaddr, access: Access) -> Result<u64, Fault> {
    let mut value = 0;
    let faulted = match access {
        // SAFETY: a load through any address either yields eight bytes or faults, and the
        // handler above turns the fault into a return value.
        Access::Read => unsafe { probe_read(va.0, &mut value) },
        Access::Write(new) => {
            value = new;
            // SAFETY: as above; the library probes only its workloads' own mappings, so the
            // store changes no memory that Rust knows of.
            unsafe { probe_write(va.0, new) }
        }
    };
    match faulted {
        0 => Ok(value),
        code => Err(Fault(code & !PROBE_FAULTED)),
    }
}

/// Registers all entries of the calling vCPU.
pub(crate) fn register() {
    let mut table = [TrapInfo::default(); VECTORS + 1];
    // SAFETY: defined above, written by nobody.
    let entries = unsafe { &exception_entries };
    for (vector, (row, &address)) in table.iter_mut().zip(entries).enumerate() {
        *row = TrapInfo {
            vector: vector as u8,
            flags: TrapInfo::MASK_EVENTS,
            cs: FLAT_KERNEL_CS,
            pad: 0,
            address,
        };
    }
    let ret = hypercall::call(
        Nr::SetTrapTable,
        [hypercall::address_of(&mut table), 0, 0, 0, 0],
    );
    assert!(ret == 0, "set_trap_table: {ret}");
    for (kind, entry) in [
        (CALLBACKTYPE_EVENT, upcall_entry as *const () as u64),
        (CALLBACKTYPE_FAILSAFE, failsafe_entry as *const () as u64),
    ] {
        let mut arg = CallbackRegister {
            kind,
            flags: CALLBACKF_MASK_EVENTS,
            pad: 0,
            address: entry,
        };
        let at = hypercall::address_of(&mut arg);
        let ret = hypercall::call(
            Nr::CallbackOp,
            [u64::from(CALLBACKOP_REGISTER), at, 0, 0, 0],
        );
        assert!(ret == 0, "callback_op: {ret}");
    }
}
