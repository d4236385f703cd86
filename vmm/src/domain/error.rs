//! Why a domain cannot be built: one line each, in the user's units.

use super::host::MAX_CPUS;
use super::layout::LayoutError;
use crate::memory::{BadMaddr, MemoryError};
use crate::mm::Refusal;
use hypercalls::start_info::MAX_GUEST_CMDLINE;
use hypercalls::{Errno, Vaddr};
use thiserror::Error;

/// The largest memory: 1 TiB.
pub(super) const MAX_MIB: u64 = 1 << 20;

/// Why a domain cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Too little memory, in the user's unit.
    #[error("{have_mib} MiB of memory are too little for this kernel: it needs {needed_mib} MiB")]
    TooSmall {
        /// MiB there are.
        have_mib: u64,
        /// MiB that would do.
        needed_mib: u64,
    },
    /// No such machine.
    #[error("{0} MiB of memory: between 1 and {MAX_MIB} can be given")]
    Memory(u64),
    /// No such machine.
    #[error("{0} vCPUs: between 1 and {MAX_CPUS} can be given")]
    Cpus(usize),
    /// The command line does not fit.
    #[error("the command line has {0} bytes; at most {max} fit", max = MAX_GUEST_CMDLINE - 1)]
    CmdlineTooLong(usize),
    /// The command line would end early.
    #[error("the command line contains a zero byte")]
    CmdlineZero,
    /// A segment is not in memory.
    #[error(
        "the segment at {paddr:#x} of {size:#x} bytes is outside the {memory:#x} bytes of memory"
    )]
    Outside {
        /// Its address.
        paddr: u64,
        /// Its size.
        size: u64,
        /// Memory.
        memory: u64,
    },
    /// Two segments overlap.
    #[error("the segment at {paddr:#x} begins before the one ending at {end:#x} is over")]
    Overlap {
        /// The second's address.
        paddr: u64,
        /// The first's end.
        end: u64,
    },
    /// The entry point is in no segment.
    #[error("the entry point {0} is in no segment")]
    Entry(Vaddr),
    /// The hypercall page is in no segment.
    #[error("the hypercall page {0} is not a page of a segment")]
    HypercallPage(Vaddr),
    /// Nothing can be mapped there.
    #[error("this kernel cannot be mapped")]
    Layout(#[source] LayoutError),
    /// The host's table is too small for this memory.
    #[error("the machine-to-physical table does not fit the hypervisor's {0} frames")]
    M2pTooSmall(u64),
    /// The host has no memory.
    #[error(transparent)]
    Host(#[from] MemoryError),
    /// The builder left memory.
    #[error("the builder left memory")]
    Builder(#[from] BadMaddr),
    /// The builder's tables break the rules.
    #[error("the first page tables were refused")]
    Tables(#[from] Refusal),
    /// No port for the host's services.
    #[error("no event channel for the host's services")]
    Ports(#[from] Errno),
}
