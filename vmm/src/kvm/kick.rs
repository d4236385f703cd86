//! Making a vCPU thread leave the guest from another thread.
//!
//! A signal alone has a hole: it may arrive just before `KVM_RUN` and be forgotten. So the
//! handler, which runs on the vCPU's own thread, sets `immediate_exit` in that thread's `kvm_run`
//! page; a run that begins after it returns at once.
#![allow(unsafe_code, reason = "a signal handler and the word it writes")]

use kvm_ioctls::VcpuFd;
use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

thread_local! {
    /// This thread's `kvm_run.immediate_exit`, or null. Without a destructor and const: reading
    /// it in a signal handler neither allocates nor registers anything.
    static IMMEDIATE_EXIT: Cell<*const AtomicU8> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let word = IMMEDIATE_EXIT.get();
    if !word.is_null() {
        // SAFETY: non-null only between Kickable::new and its drop, on this very thread, while
        // the VcpuFd that owns the mapping is borrowed by it; a byte has no alignment.
        unsafe { (*word).store(1, Ordering::Relaxed) };
    }
}

/// Installs the handler, once a process.
///
/// # Errors
/// If the kernel refuses it.
pub(super) fn install_handler() -> std::io::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        result = register_signal_handler(SIGRTMIN(), on_kick).map_err(Into::into);
    });
    result
}

/// A thread that can be kicked: its pthread id. Valid while the thread runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kicker(libc::pthread_t);

impl Kicker {
    /// The calling thread.
    #[must_use]
    pub(super) fn this_thread() -> Kicker {
        // SAFETY: has no precondition.
        Kicker(unsafe { libc::pthread_self() })
    }

    /// Makes its current or next `KVM_RUN` return.
    ///
    /// The caller holds the lock under which a vCPU thread deregisters before it ends, so the
    /// thread is alive.
    pub(super) fn kick(self) {
        // SAFETY: the thread is alive (see above); the signal has a handler.
        unsafe { libc::pthread_kill(self.0, SIGRTMIN()) };
    }
}

/// While it lives, kicks of this thread reach this vCPU.
#[derive(Debug)]
pub(super) struct Kickable(());

impl Kickable {
    /// Points the handler at `fd`'s `kvm_run`. The vCPU must stay on this thread and outlive the
    /// returned value; [`super::cpu::Cpu`] drops it first.
    pub(super) fn new(fd: &mut VcpuFd) -> Kickable {
        let word: *mut u8 = &raw mut fd.get_kvm_run().immediate_exit;
        IMMEDIATE_EXIT.set(word.cast::<AtomicU8>());
        Kickable(())
    }
}

impl Drop for Kickable {
    fn drop(&mut self) {
        IMMEDIATE_EXIT.set(std::ptr::null());
    }
}
