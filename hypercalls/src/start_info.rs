//! What the guest finds at its entry (`xen.h`, `struct start_info`; `arch-x86/xen.h`).

use crate::{Maddr, Mfn, Pfn, Vaddr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The magic a 64-bit guest checks.
pub const MAGIC: &[u8; 14] = b"xen-3.0-x86_64";
/// Bytes of command line, the closing zero included (`MAX_GUEST_CMDLINE`).
pub const MAX_GUEST_CMDLINE: usize = 1024;
/// The guest may use privileged operations.
pub const SIF_PRIVILEGED: u32 = 1 << 0;
/// The guest is the initial domain.
pub const SIF_INITDOMAIN: u32 = 1 << 1;
/// The module is a multiboot list.
pub const SIF_MULTIBOOT_MOD: u32 = 1 << 2;
/// `mod_start` is a pfn, not a virtual address.
pub const SIF_MOD_START_PFN: u32 = 1 << 3;

/// A domU's console ring: frame and port.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ConsoleInfo {
    /// The ring's frame.
    pub mfn: Mfn,
    /// The event channel to notify.
    pub evtchn: u32,
    /// Padding.
    pub pad: u32,
}

/// The start-info page: 1168 bytes. rsi holds its address at the guest's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StartInfo {
    /// [`MAGIC`], zero padded.
    pub magic: [u8; 32],
    /// Frames the domain owns.
    pub nr_pages: u64,
    /// Machine address of the shared-info page.
    pub shared_info: Maddr,
    /// `SIF_*` bits.
    pub flags: u32,
    /// Padding.
    pub pad0: u32,
    /// The xenstore ring's frame.
    pub store_mfn: Mfn,
    /// The xenstore ring's event channel.
    pub store_evtchn: u32,
    /// Padding.
    pub pad1: u32,
    /// The console ring (the domU member of the union).
    pub console: ConsoleInfo,
    /// Virtual address of the L4 the guest starts on.
    pub pt_base: Vaddr,
    /// Frames of bootstrap page tables.
    pub nr_pt_frames: u64,
    /// Virtual address of the pfn-to-mfn list, 8 bytes an entry.
    pub mfn_list: Vaddr,
    /// Virtual address of the module, or its pfn (`SIF_MOD_START_PFN`).
    pub mod_start: u64,
    /// Bytes of module.
    pub mod_len: u64,
    /// The command line, zero terminated.
    pub cmd_line: [u8; MAX_GUEST_CMDLINE],
    /// First pfn of the frames that hold the p2m list, where it is mapped apart (`INIT_P2M`).
    pub first_p2m_pfn: Pfn,
    /// How many.
    pub nr_p2m_frames: u64,
}

const _: () = assert!(size_of::<StartInfo>() == 1168);
const _: () = assert!(core::mem::offset_of!(StartInfo, pt_base) == 88);
const _: () = assert!(core::mem::offset_of!(StartInfo, cmd_line) == 128);
const _: () = assert!(core::mem::offset_of!(StartInfo, first_p2m_pfn) == 1152);
