//! Signals: an interval timer, handlers on a stack of their own, one interrupting another, while a
//! computation goes on that must not notice.
#![allow(unsafe_code, reason = "signal handlers and their stack")]

use super::outcome::{Outcome, ensure};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use std::sync::atomic::{AtomicUsize, Ordering};

const STACK: usize = 64 << 10;
/// Microseconds between two signals, and how many there must have been.
const TICK_US: i64 = 2000;
const TICKS: usize = 50;
/// Steps of the computation between two looks.
const STEPS: u32 = 200_000;

/// Where the stack is; ticks, signals within a handler, and handlers found on another stack.
static BASE: AtomicUsize = AtomicUsize::new(0);
static OUTER: AtomicUsize = AtomicUsize::new(0);
static INNER: AtomicUsize = AtomicUsize::new(0);
static ASTRAY: AtomicUsize = AtomicUsize::new(0);

/// All of it.
pub(super) fn check() -> Outcome {
    let mut stack = vec![0_u8; STACK];
    BASE.store(stack.as_ptr() as usize, Ordering::SeqCst);
    use_stack(&mut stack)?;
    handle(Signal::SIGALRM, outer)?;
    handle(Signal::SIGUSR1, inner)?;
    let wanted = compute();
    super::timer::every(TICK_US)?;
    while OUTER.load(Ordering::SeqCst) < TICKS {
        let got = compute();
        ensure(got == wanted, || {
            format!("computed {got:x}, not {wanted:x}")
        })?;
    }
    super::timer::stop()?;
    let [outer, inner, astray] = [&OUTER, &INNER, &ASTRAY].map(|n| n.load(Ordering::SeqCst));
    // No handler runs again without the stack.
    std::mem::forget(stack);
    ensure(inner == outer && astray == 0, || {
        format!("{outer} ticks, {inner} signals within them, {astray} on a wrong stack")
    })
}

fn use_stack(stack: &mut [u8]) -> nix::Result<()> {
    let given = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: stack.len(),
    };
    // SAFETY: the memory is writable and outlives every handler.
    let set = unsafe { libc::sigaltstack(&raw const given, std::ptr::null_mut()) };
    nix::Error::result(set).map(drop)
}

fn handle(signal: Signal, handler: extern "C" fn(i32)) -> nix::Result<()> {
    let flags = SaFlags::SA_ONSTACK | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::Handler(handler), flags, SigSet::empty());
    // SAFETY: both handlers only touch atomics and raise a signal.
    unsafe { sigaction(signal, &action) }.map(drop)
}

extern "C" fn outer(_: i32) {
    look();
    // It comes before this returns.
    let before = INNER.load(Ordering::SeqCst);
    let raised = raise(Signal::SIGUSR1).is_ok();
    if raised && INNER.load(Ordering::SeqCst) > before {
        OUTER.fetch_add(1, Ordering::SeqCst);
    }
}

extern "C" fn inner(_: i32) {
    look();
    INNER.fetch_add(1, Ordering::SeqCst);
}

/// Whether a local of the handler's lies on the stack that was given.
fn look() {
    let local = 0_u8;
    let at = (&raw const local as usize).wrapping_sub(BASE.load(Ordering::SeqCst));
    if at >= STACK {
        ASTRAY.fetch_add(1, Ordering::SeqCst);
    }
}

/// A number that depends on every step.
fn compute() -> u64 {
    (0..STEPS).fold(0x9e37_79b9, |x: u64, step| {
        let x = x ^ x << 13;
        let x = x ^ x >> 7;
        (x ^ x << 17).wrapping_add(u64::from(step))
    })
}
