//! A segment of the process's own in its LDT, as 16-bit and 32-bit emulators use them: reads through
//! it find its base, and go on doing so while others run.
#![allow(unsafe_code, reason = "modify_ldt has no wrapper, and gs is loaded")]

use super::outcome::{NotOk, Outcome, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::num::NonZeroUsize;
use std::{io, thread};

/// What lies where the segment begins.
const WORD: u32 = 0x5eed_1d70;
/// How often others may run in between.
const ROUNDS: usize = 200;
/// Entry 0 of the LDT, for CPL3.
const SELECTOR: u16 = 1 << 2 | 3;
/// `modify_ldt`: write an entry.
const WRITE: libc::c_int = 0x11;

/// `struct user_desc` (`asm/ldt.h`): entry, base, limit, flags.
#[repr(C)]
struct UserDesc {
    entry: u32,
    base: u32,
    limit: u32,
    flags: u32,
}

/// 32-bit, limit in pages, usable.
const FLAGS: u32 = 1 | 1 << 4 | 1 << 6;

/// In a thread of its own, whose gs is nobody else's.
pub(super) fn check() -> Outcome {
    let ran = thread::spawn(in_this_thread).join();
    ran.unwrap_or_else(|_| Err(NotOk::Failed("its thread panicked".into())))
}

fn in_this_thread() -> Outcome {
    let base = word_below_4_gib()?;
    let desc = UserDesc {
        entry: 0,
        base,
        limit: 0xf_ffff,
        flags: FLAGS,
    };
    // SAFETY: the kernel reads as many bytes as there are.
    let set = unsafe {
        libc::syscall(
            libc::SYS_modify_ldt,
            WRITE,
            &raw const desc,
            size_of_val(&desc),
        )
    };
    // The wrapper returns an int's worth of a negative error, whatever the width.
    match set as i32 {
        0 => {}
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) => {
            return Err(NotOk::Skipped("this kernel has no modify_ldt".into()));
        }
        error => return Err(NotOk::Failed(format!("modify_ldt: {error}"))),
    }
    for round in 0..ROUNDS {
        let read = through_gs();
        ensure(read == WORD, || {
            format!("round {round}: {read:#x} was read, not {WORD:#x}")
        })?;
        thread::yield_now();
    }
    Ok(())
}

/// The address of [`WORD`], where a descriptor's base can be.
fn word_below_4_gib() -> Result<u32, NotOk> {
    let page = NonZeroUsize::new(4096).ok_or_else(|| NotOk::Failed("no size".into()))?;
    let (prot, flags) = (
        ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        MapFlags::MAP_PRIVATE | MapFlags::MAP_32BIT,
    );
    // SAFETY: a new mapping, which nothing else uses and nobody unmaps.
    let at = unsafe { mmap_anonymous(None, page, prot, flags) }?.cast::<u32>();
    // SAFETY: the page is ours and aligned.
    unsafe { at.write(WORD) };
    Ok(at.addr().get() as u32)
}

/// The first word of the segment: loads gs the first time, which keeps it then.
fn through_gs() -> u32 {
    let read: u32;
    // SAFETY: nothing in this program uses gs; the segment holds at least the word.
    unsafe {
        std::arch::asm!(
            "mov {now:e}, gs",
            "cmp {now:x}, {selector:x}",
            "je 2f",
            "mov gs, {selector:e}",
            "2: mov {read:e}, gs:[0]",
            now = out(reg) _,
            selector = in(reg) u32::from(SELECTOR),
            read = out(reg) read,
            options(nostack),
        );
    }
    read
}
