//! Futexes between processes: two hand a word in shared memory to and fro, each sleeping in the
//! kernel until the other wakes it.
#![allow(unsafe_code, reason = "shared memory, futex and fork")]

use super::outcome::{Outcome, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};

/// Hand-overs, both ways counted.
const HANDOVERS: u32 = 2000;
/// A sleeper looks again after this long: a wake-up that is lost fails the check, by its count.
const PATIENCE_S: i64 = 5;

/// The parent takes even numbers, the child odd ones.
pub(super) fn check() -> Outcome {
    let word = shared()?;
    // SAFETY: a check's process has one thread here.
    match unsafe { fork()? } {
        ForkResult::Child => std::process::exit(i32::from(!play(word, 1))),
        ForkResult::Parent { child } => {
            let whole = play(word, 0);
            let status = waitpid(child, None)?;
            ensure(whole && matches!(status, WaitStatus::Exited(_, 0)), || {
                let at = word.load(Ordering::SeqCst);
                format!("a wake-up was lost by {at} of {HANDOVERS}")
            })
        }
    }
}

fn shared() -> nix::Result<&'static AtomicU32> {
    let length = NonZeroUsize::new(4096).ok_or(nix::Error::EINVAL)?;
    let rw = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping of zeros, which stays until the process ends.
    let at = unsafe { mmap_anonymous(None, length, rw, MapFlags::MAP_SHARED)? };
    // SAFETY: aligned to a page, mapped for ever, only ever used as this atomic.
    Ok(unsafe { at.cast::<AtomicU32>().as_ref() })
}

/// Adds one whenever it is this side's turn; false if it was not woken.
fn play(word: &AtomicU32, parity: u32) -> bool {
    loop {
        let seen = word.load(Ordering::SeqCst);
        if seen >= HANDOVERS {
            return true;
        }
        if seen % 2 != parity {
            if !wait(word, seen) {
                return false;
            }
            continue;
        }
        word.store(seen + 1, Ordering::SeqCst);
        // SAFETY: the word is mapped; waking reads and writes nothing.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
    }
}

/// Sleeps while the word is `seen`; false if the time ran out with it changed: nobody woke us.
fn wait(word: &AtomicU32, seen: u32) -> bool {
    let patience = libc::timespec {
        tv_sec: PATIENCE_S,
        tv_nsec: 0,
    };
    let (at, operation) = (word.as_ptr(), libc::FUTEX_WAIT);
    // SAFETY: the word is mapped, the time is read only.
    let slept = unsafe { libc::syscall(libc::SYS_futex, at, operation, seen, &raw const patience) };
    let timed_out = slept < 0 && nix::Error::last() == nix::Error::ETIMEDOUT;
    !timed_out || word.load(Ordering::SeqCst) == seen
}
