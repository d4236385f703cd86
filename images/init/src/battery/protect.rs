//! Page protection: every write to a read-only page and every read of a page without rights is a
//! SIGSEGV at that address, exactly once, and goes on when the handler has given the rights back.
#![allow(
    unsafe_code,
    reason = "mprotect and a signal handler work on addresses"
)]

use super::outcome::{Outcome, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE: usize = 4096;
const PAGES: usize = 48;
const ROUNDS: usize = 12;

/// The pages' address, for the handler; what it counted, and the last address it was told.
static BASE: AtomicUsize = AtomicUsize::new(0);
static FAULTS: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Protects, touches, counts.
pub(super) fn check() -> Outcome {
    let length = NonZeroUsize::new(PAGES * PAGE).ok_or(nix::Error::EINVAL)?;
    // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
    let base = unsafe { mmap_anonymous(None, length, rw(), MapFlags::MAP_PRIVATE)? };
    BASE.store(base.as_ptr() as usize, Ordering::SeqCst);
    let flags = SaFlags::SA_SIGINFO;
    let action = SigAction::new(SigHandler::SigAction(restore), flags, SigSet::empty());
    // SAFETY: the handler only makes a system call and touches atomics.
    unsafe { sigaction(Signal::SIGSEGV, &action)? };
    for round in 0..ROUNDS {
        let rights = match round % 2 {
            0 => ProtFlags::PROT_READ,
            _ => ProtFlags::PROT_NONE,
        };
        // SAFETY: the pages are ours; what touches them without rights is meant to fault.
        unsafe { mprotect(base, PAGES * PAGE, rights)? };
        (0..PAGES).try_for_each(|page| touch(base, page, round))?;
    }
    let faults = FAULTS.load(Ordering::SeqCst);
    ensure(faults == ROUNDS * PAGES, || {
        format!("{faults} faults, not {}", ROUNDS * PAGES)
    })
}

/// Adds the round's number to a word of the page, whose last sum must still be there.
fn touch(base: NonNull<c_void>, page: usize, round: usize) -> Outcome {
    let word = base
        .cast::<usize>()
        .as_ptr()
        .wrapping_byte_add(page * PAGE + 8 * page);
    let before = FAULTS.load(Ordering::SeqCst);
    // SAFETY: within the mapping and aligned; the handler makes it accessible.
    let sum = unsafe {
        word.write_volatile(word.read_volatile() + round);
        word.read_volatile()
    };
    let (faults, last) = (FAULTS.load(Ordering::SeqCst), LAST.load(Ordering::SeqCst));
    ensure(faults == before + 1 && last == word as usize, || {
        format!("{} faults at {last:x}, touching {word:p}", faults - before)
    })?;
    let wanted = (0..=round).sum::<usize>();
    ensure(sum == wanted, || {
        format!("page {page} has {sum}, not {wanted}")
    })
}

/// Gives one page its rights back; a fault elsewhere kills, as it would without a handler.
extern "C" fn restore(_: i32, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel hands a whole siginfo to a handler of this kind.
    let at = unsafe { (*info).si_addr() } as usize;
    let base = BASE.load(Ordering::SeqCst);
    let page = (at.wrapping_sub(base) < PAGES * PAGE)
        .then(|| NonNull::new((at & !(PAGE - 1)) as *mut c_void))
        .flatten();
    // SAFETY: the page is within the mapping.
    let done = page.is_some_and(|page| unsafe { mprotect(page, PAGE, rw()) }.is_ok());
    if !done {
        std::process::abort();
    }
    LAST.store(at, Ordering::SeqCst);
    FAULTS.fetch_add(1, Ordering::SeqCst);
}

fn rw() -> ProtFlags {
    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
}
