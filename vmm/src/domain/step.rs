//! What the run loop does next with a vCPU, and why a domain had to be ended.

use super::Regs;
use hypercalls::Vaddr;
use thiserror::Error;

/// What follows a trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Enter the guest again.
    Resume,
    /// Wait until the vCPU is ready ([`super::Domain::is_ready`]) or the system time is `until`, in
    /// ns; then enter it again.
    Block {
        /// The earliest of a poll's timeout and the vCPU's timers.
        until: Option<u64>,
    },
    /// Let others run, then enter again.
    Yield,
    /// The domain asked to end; the number is one of `hypercalls::sched::SHUTDOWN_*`.
    Shutdown(u32),
    /// The domain cannot go on.
    Crash(Box<Crash>),
    /// This vCPU is down: wait until it is brought up.
    Down,
}

impl Step {
    /// A crash of vCPU `cpu` in state `regs`.
    #[must_use]
    pub fn crash(cpu: usize, regs: &Regs, reason: CrashReason) -> Step {
        Step::Crash(Box::new(Crash {
            reason,
            cpu,
            regs: *regs,
            cr2: 0,
        }))
    }
}

/// The end of a domain that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Why.
    pub reason: CrashReason,
    /// Which vCPU.
    pub cpu: usize,
    /// Its registers then.
    pub regs: Regs,
    /// The faulting address, if a page fault led here; otherwise 0.
    pub cr2: u64,
}

/// Why a domain cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CrashReason {
    /// The guest has no handler for an exception it caused.
    #[error("exception {vector} (error code {error:#x}, cr2 {cr2}) and no handler is registered")]
    NoHandler {
        /// The exception.
        vector: u8,
        /// Its error code, or 0.
        error: u64,
        /// The faulting address of a page fault.
        cr2: Vaddr,
    },
    /// An entry point the guest never registered is needed.
    #[error("no {0} callback is registered")]
    NoCallback(&'static str),
    /// The kernel stack an exception frame belongs on cannot be written.
    #[error("exception {vector}: its frame cannot be pushed on the kernel stack at {at}")]
    BadKernelStack {
        /// The exception; 256 and more are callbacks.
        vector: u16,
        /// Where the frame would have begun.
        at: Vaddr,
    },
    /// The frame hypercall `iret` needs cannot be read.
    #[error("iret: no frame can be read at {0}")]
    BadIretFrame(Vaddr),
    /// A return to user mode without a page table for it.
    #[error("iret: to user mode, but no user page table is set")]
    NoUserTable,
    /// The same fault again and again.
    #[error("exception {vector} at {rip} (cr2 {cr2}) came {times} times without progress")]
    FaultLoop {
        /// The exception.
        vector: u8,
        /// Where.
        rip: Vaddr,
        /// The faulting address of a page fault.
        cr2: Vaddr,
        /// How often.
        times: u32,
    },
    /// The page-table rules lost count (`--paranoid`).
    #[error("a recount of every page's references found {differences} wrong, first: {first}")]
    Miscounted {
        /// References and entries that are not as they must be.
        differences: usize,
        /// One of them.
        first: String,
    },
    /// The guest said so itself.
    #[error("it reported a crash itself")]
    Reported,
    /// The host could not run the vCPU any further.
    #[error("{0}")]
    Host(String),
}
