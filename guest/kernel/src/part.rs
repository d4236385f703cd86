//! Writes to a part of a page-table entry: a store narrower than the entry, or one bit.
#![allow(
    unsafe_code,
    reason = "stores of any width to an address, and the bit instructions"
)]

use crate::physmap;
use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};
use guest::machine::Part;
use hypercalls::Maddr;

/// Makes the write at `at`, aligned to its width; of a bit, whether it was set.
pub(crate) fn write(at: Maddr, part: Part) -> bool {
    let to = physmap::entry_va(at);
    // SAFETY: `at` is aligned and lies in a frame of ours, which the physmap maps for good. The
    // frame is a table: nothing but such writes changes it from here.
    unsafe {
        match part {
            Part::Byte(value) => AtomicU8::from_ptr(to.cast()).store(value, Ordering::Release),
            Part::Word(value) => AtomicU16::from_ptr(to.cast()).store(value, Ordering::Release),
            Part::Dword(value) => AtomicU32::from_ptr(to.cast()).store(value, Ordering::Release),
            Part::Set(bit) => return bts(to, bit),
            Part::Clear(bit) => return btr(to, bit),
        }
    }
    false
}

/// `lock bts`.
///
/// # Safety
/// `to` is an entry of ours.
unsafe fn bts(to: *mut u64, bit: u8) -> bool {
    let was: u8;
    // SAFETY: the caller's; below 64 the bit is in the entry itself.
    unsafe {
        asm!("lock bts qword ptr [{to}], {bit}", "setc {was}", to = in(reg) to,
            bit = in(reg) u64::from(bit & 63), was = out(reg_byte) was);
    }
    was != 0
}

/// `lock btr`.
///
/// # Safety
/// `to` is an entry of ours.
unsafe fn btr(to: *mut u64, bit: u8) -> bool {
    let was: u8;
    // SAFETY: as in `bts`.
    unsafe {
        asm!("lock btr qword ptr [{to}], {bit}", "setc {was}", to = in(reg) to,
            bit = in(reg) u64::from(bit & 63), was = out(reg_byte) was);
    }
    was != 0
}
