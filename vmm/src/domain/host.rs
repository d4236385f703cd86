//! What a domain is built from beside the kernel: its configuration and what the host gives it.

use super::program::PAGES_PER_MIB;
use hypercalls::{Maddr, PAGE_SIZE, Vaddr};

/// What the user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainConfig {
    /// Memory in MiB.
    pub mem_mib: u64,
    /// vCPUs, 1 to [`MAX_CPUS`].
    pub cpus: usize,
    /// Command line, at most 1023 bytes.
    pub cmdline: String,
    /// Initial RAM disk, if any.
    pub initrd: Option<Vec<u8>>,
    /// Destroys what a hypercall may destroy, as a debug build of Xen does: the argument registers
    /// it used, and all but the result of a multicall's entries (`--poison`).
    pub poison: bool,
    /// Recounts every page's references as the domain runs; what is wrong ends it.
    pub paranoid: bool,
}

impl Default for DomainConfig {
    fn default() -> Self {
        DomainConfig {
            mem_mib: 64,
            cpus: 1,
            cmdline: String::new(),
            initrd: None,
            poison: false,
            paranoid: false,
        }
    }
}

/// vCPUs a domain can have: those with a place in the shared-info page.
pub const MAX_CPUS: usize = 32;

/// Frames of grant table: 2048 grants.
pub const GRANT_FRAMES: u64 = 4;

/// The part of the machine that is the hypervisor's: frames 0 up to `hv_frames`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLayout {
    /// Frames before the guest's.
    pub hv_frames: u64,
    /// What goes into slot 257 of every L4; 0 nothing.
    pub hv_l4_entry: u64,
    /// The machine-to-physical table, 8 bytes a frame, in the hypervisor's frames.
    pub m2p: Maddr,
    /// Where the guest sees it.
    pub m2p_vaddr: Vaddr,
    /// The TSC's frequency.
    pub tsc_khz: u32,
    /// Whether `syscall` of 32-bit user mode arrives.
    pub syscall32: bool,
}

impl HostLayout {
    /// Frames of the whole machine for a guest of `mem_mib`: the hypervisor's, the guest's, the
    /// shared-info page and the grant table.
    #[must_use]
    pub const fn total_frames(hv_frames: u64, mem_mib: u64) -> u64 {
        hv_frames
            .saturating_add(mem_mib.saturating_mul(PAGES_PER_MIB))
            .saturating_add(1 + GRANT_FRAMES)
    }

    /// Frames a machine-to-physical table of `frames` entries takes.
    #[must_use]
    pub const fn m2p_frames(frames: u64) -> u64 {
        frames.saturating_mul(8).div_ceil(PAGE_SIZE)
    }

    /// A machine with nothing of the hypervisor's but the machine-to-physical table: for hosts
    /// that do not run the guest's code, and for tests.
    #[must_use]
    pub const fn bare(mem_mib: u64) -> HostLayout {
        // One frame is left for number 0; the table covers itself.
        let guest = Self::total_frames(0, mem_mib);
        let hv_frames = 2 + Self::m2p_frames(guest.saturating_mul(2));
        HostLayout {
            hv_frames,
            hv_l4_entry: 0,
            m2p: Maddr(PAGE_SIZE),
            m2p_vaddr: Vaddr::from_l4_slot(257),
            tsc_khz: 1_000_000,
            syscall32: true,
        }
    }
}
