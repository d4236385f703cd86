//! What the threads of a running guest may ask of the kernel: a seccomp filter each, installed when
//! everything they need is open and before the guest's first instruction.
//!
//! A vCPU's thread enters the guest, waits, kicks other threads, sets timers and writes to what is
//! open; the thread beside them waits for events, reads and writes what is open. Neither can open a
//! file, make a socket, start a process, map code, or touch another process: those calls fail with
//! EPERM. So a guest that found a hole in the hypervisor still has no host to go to. The lists are
//! in `calls`.
//!
//! Who started the domain waits meanwhile, without a filter, as the report is still to be written:
//! it runs nothing the guest has a part in until the threads have ended. A filter cannot be taken
//! away from a thread, but ends with it. No privileges are needed; a kernel without seccomp is an
//! error, never a guest without a filter.

mod calls;

#[cfg(test)]
mod tests;

use seccompiler::{
    BackendError, BpfProgram, Error as SeccompError, SeccompAction, SeccompFilter, TargetArch,
};
use thiserror::Error;

/// What a thread of a running guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Runs a vCPU.
    Vcpu,
    /// Waits for timers, signals and input.
    Events,
}

/// Why a thread could not be confined.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The filter cannot be expressed: a fault of its tables.
    #[error("the system call filter is wrong: {0}")]
    Filter(#[from] BackendError),
    /// The kernel does not take it.
    #[error("this kernel does not take a system call filter ({0}); it needs CONFIG_SECCOMP_FILTER")]
    Kernel(#[from] SeccompError),
}

/// Confines the calling thread to its duty, for good.
///
/// # Errors
/// If the kernel has no seccomp.
pub fn enter(duty: Duty) -> Result<(), SandboxError> {
    Ok(seccompiler::apply_filter(&program(duty)?)?)
}

fn program(duty: Duty) -> Result<BpfProgram, BackendError> {
    let filter = SeccompFilter::new(
        calls::allowed(duty)?,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?;
    filter.try_into()
}
