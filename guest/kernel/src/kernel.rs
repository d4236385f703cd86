//! The library's kernel, one for all vCPUs and interrupts.
#![allow(unsafe_code, reason = "publishes the kernel once, then shares it")]

use crate::machine::Xen;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use guest::Kernel;

struct KernelCell {
    ready: AtomicBool,
    kernel: UnsafeCell<MaybeUninit<Kernel<Xen>>>,
}

// SAFETY: written once, before `ready` and before any other vCPU or interrupt; shared references
// only from then on. The library keeps a vCPU's state to that vCPU and masks upcalls around it.
unsafe impl Sync for KernelCell {}

static KERNEL: KernelCell = KernelCell {
    ready: AtomicBool::new(false),
    kernel: UnsafeCell::new(MaybeUninit::uninit()),
};

/// The library's kernel.
pub(crate) fn get() -> &'static Kernel<Xen> {
    assert!(
        KERNEL.ready.load(Ordering::Acquire),
        "an interrupt before the kernel was ready"
    );
    // SAFETY: initialized before `ready` was set, never written again.
    unsafe { (*KERNEL.kernel.get()).assume_init_ref() }
}

/// Makes `kernel` the one; once, before anything can interrupt.
pub(crate) fn publish(kernel: Kernel<Xen>) {
    // SAFETY: called once, on one vCPU, upcalls masked.
    unsafe { (*KERNEL.kernel.get()).write(kernel) };
    KERNEL.ready.store(true, Ordering::Release);
}
