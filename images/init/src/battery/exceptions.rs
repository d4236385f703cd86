//! What instructions end in: each exception a program can cause is the signal it should be, with
//! the address it should have, and the program goes on behind it.
#![allow(
    unsafe_code,
    reason = "instructions that fault, and a handler that steps over them"
)]

use super::outcome::{Outcome, ensure};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::arch::asm;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

const ROUNDS: u32 = 50;
/// Instructions the single step goes through.
const STEPS: u32 = 10;
/// The trap flag of EFLAGS.
const TRAP_FLAG: i64 = 1 << 8;

/// Bytes to step over when the next signal comes; what came, how often.
static SKIP: AtomicI64 = AtomicI64::new(0);
static CAME: AtomicU32 = AtomicU32::new(0);
static TIMES: AtomicU32 = AtomicU32::new(0);

/// Each of them, in turn, many times.
pub(super) fn check() -> Outcome {
    for signal in [
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSEGV,
    ] {
        let action = SigAction::new(
            SigHandler::SigAction(step_over),
            SaFlags::SA_SIGINFO,
            SigSet::empty(),
        );
        // SAFETY: the handler touches atomics and the context it is given.
        unsafe { sigaction(signal, &action)? };
    }
    for _ in 0..ROUNDS {
        one("div by zero", libc::SIGFPE, 2, divide)?;
        one("ud2", libc::SIGILL, 2, undefined)?;
        // rip is behind an int3 already.
        one("int3", libc::SIGTRAP, 0, breakpoint)?;
        one("hlt", libc::SIGSEGV, 1, halt)?;
        one("cli", libc::SIGSEGV, 1, disable)?;
        one("a non-canonical load", libc::SIGSEGV, 3, non_canonical)?;
        single_step()?;
    }
    Ok(())
}

fn one(what: &str, signal: i32, skip: i64, cause: fn()) -> Outcome {
    TIMES.store(0, Ordering::SeqCst);
    SKIP.store(skip, Ordering::SeqCst);
    cause();
    came(what, signal, 1)
}

fn came(what: &str, signal: i32, times: u32) -> Outcome {
    let (last, count) = (CAME.load(Ordering::SeqCst), TIMES.load(Ordering::SeqCst));
    ensure((last, count) == (signal as u32, times), || {
        format!("{what} was {count} signals, the last {last}; not {times} of {signal}")
    })
}

extern "C" fn step_over(signal: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands a whole context to a handler of this kind, and reads it back.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    registers[libc::REG_RIP as usize] += SKIP.load(Ordering::SeqCst);
    CAME.store(signal as u32, Ordering::SeqCst);
    if TIMES.fetch_add(1, Ordering::SeqCst) + 1 >= STEPS {
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
}

/// `popf` sets the flag: each instruction behind it traps once, until the handler takes it away.
fn single_step() -> Outcome {
    TIMES.store(0, Ordering::SeqCst);
    SKIP.store(0, Ordering::SeqCst);
    // SAFETY: counts in a register of its own; the red zone is stepped over for the stack's use.
    unsafe {
        asm!(
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            ".rept 20",
            "nop",
            ".endr",
        );
    }
    came("single steps", libc::SIGTRAP, STEPS)
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident $code:literal;)*) => {$(
        $(#[$doc])*
        fn $name() {
            // SAFETY: the handler steps over the instruction that faults; the registers it reads
            // and changes are named.
            unsafe {
                asm!($code, inout("rax") 1_u64 << 63 => _, inout("rdx") 0_u64 => _,
                     inout("rcx") 0_u64 => _);
            }
        }
    )*};
}

causes! {
    /// #DE.
    divide "div ecx";
    /// #UD.
    undefined "ud2";
    /// #BP.
    breakpoint "int3";
    /// #GP.
    halt "hlt";
    /// #GP.
    disable "cli";
    /// #GP, without an address.
    non_canonical "mov rdx, [rax]";
}
