//! The trap: `syscall` with the number in rax. Everything that leaves this guest passes here.
#![allow(unsafe_code, reason = "the syscall instruction")]

use core::arch::asm;
use hypercalls::Nr;

/// Makes hypercall `nr`. The result as rax holds it: negative is an error number.
///
/// Arguments that are addresses point to memory that stays valid and is not otherwise borrowed
/// until the call returns; hypercalls that change the address space are made by `machine`,
/// `boot` and `task` only, which keep what Rust relies on mapped.
pub(crate) fn call(nr: Nr, args: [u64; 5]) -> i64 {
    let ret: i64;
    // SAFETY: the hypervisor preserves all registers but those named as outputs here (a debug
    // Xen destroys the argument registers). Memory it writes is the arguments' (see above); the
    // asm is a barrier for it. An upcall on return pushes its frame below rsp: no red zone.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as u64 => ret,
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => _,
            inlateout("r10") args[3] => _,
            inlateout("r8") args[4] => _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// The address of `value` as an argument.
pub(crate) fn address_of<T: ?Sized>(value: &mut T) -> u64 {
    core::ptr::from_mut(value).cast::<u8>() as u64
}
