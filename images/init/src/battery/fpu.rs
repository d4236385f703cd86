//! Floating-point state: every thread keeps patterns of its own in the registers of x87, SSE and
//! AVX while it is switched out hundreds of times, by its own will and against it, and while signal
//! handlers overwrite them all.
#![allow(unsafe_code, reason = "registers are held by assembly")]

mod registers;

use super::outcome::{NotOk, Outcome, ensure, failed};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use registers::{Registers, Width};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const THREADS: u8 = 6;
/// How often each fills its registers and looks.
const ROUNDS: u8 = 12;
/// Microseconds between two signals.
const TICK_US: i64 = 3000;

static SIGNALS: AtomicU32 = AtomicU32::new(0);

/// With AVX where this CPU says it has it.
pub(super) fn check() -> Outcome {
    let avx = std::arch::is_x86_feature_detected!("avx");
    let width = if avx { Width::Ymm } else { Width::Xmm };
    let flags = SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::Handler(overwrite), flags, SigSet::empty());
    // SAFETY: the handler only does what may be done in one.
    unsafe { sigaction(Signal::SIGALRM, &action)? };
    super::timer::every(TICK_US)?;
    let threads = (0..THREADS).map(|me| thread::spawn(move || hold(me, width)));
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        thread.join().map_err(|_| failed("a thread panicked"))??;
    }
    super::timer::stop()?;
    let signals = SIGNALS.load(Ordering::Relaxed);
    ensure(signals > 0, || "no signal came meanwhile".into())
}

fn hold(me: u8, width: Width) -> Result<(), NotOk> {
    for round in 0..ROUNDS {
        let put = Registers::pattern(me, round);
        let found = put.hold(width);
        let differences = put.differences(&found, width);
        ensure(differences.is_empty(), || {
            format!("thread {me}, round {round}: {differences}")
        })?;
    }
    Ok(())
}

/// A handler with no respect for registers: what it finds is saved around it.
extern "C" fn overwrite(_: i32) {
    registers::wipe();
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}
