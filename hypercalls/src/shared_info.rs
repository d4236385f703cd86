//! The page hypervisor and guest share: upcall masks, event bits, time (`xen.h`,
//! `arch-x86/xen.h`).

use crate::{Mfn, Vaddr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// vCPUs that have their `vcpu_info` in the shared page (`XEN_LEGACY_MAX_VCPUS`).
pub const LEGACY_MAX_VCPUS: usize = 32;

/// Time of one vCPU: system time = `system_time + ((tsc - tsc_timestamp) << tsc_shift) *
/// tsc_to_system_mul >> 32`, in ns; an odd version means an update is under way. 32 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VcpuTimeInfo {
    /// Odd while being written.
    pub version: u32,
    /// Padding.
    pub pad0: u32,
    /// TSC at the last update.
    pub tsc_timestamp: u64,
    /// ns since boot at the last update.
    pub system_time: u64,
    /// Scale, 0.32 fixed point.
    pub tsc_to_system_mul: u32,
    /// Shift applied to the TSC difference first; negative is right.
    pub tsc_shift: i8,
    /// Flags.
    pub flags: u8,
    /// Padding.
    pub pad1: [u8; 2],
}

/// One vCPU's part of the shared page: 64 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VcpuInfo {
    /// Non-zero: an event waits.
    pub evtchn_upcall_pending: u8,
    /// Non-zero: no upcall; the virtual interrupt flag, inverted.
    pub evtchn_upcall_mask: u8,
    /// Padding.
    pub pad: [u8; 6],
    /// Which words of `evtchn_pending` to look at.
    pub evtchn_pending_sel: u64,
    /// Address of the last page fault.
    pub cr2: u64,
    /// Padding of `arch_vcpu_info`.
    pub arch_pad: u64,
    /// Time.
    pub time: VcpuTimeInfo,
}

/// The x86 part: 48 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ArchSharedInfo {
    /// Last valid pfn of the p2m.
    pub max_pfn: u64,
    /// Root of the three-level p2m tree.
    pub pfn_to_mfn_frame_list_list: Mfn,
    /// Why an NMI came.
    pub nmi_reason: u64,
    /// CR3 value the linear p2m is valid in; 0 none.
    pub p2m_cr3: u64,
    /// Virtual address of the linear p2m.
    pub p2m_vaddr: Vaddr,
    /// Changed around p2m updates.
    pub p2m_generation: u64,
}

/// The shared-info page: 3136 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SharedInfo {
    /// One a vCPU.
    pub vcpu_info: [VcpuInfo; LEGACY_MAX_VCPUS],
    /// A bit a port: an event waits.
    pub evtchn_pending: [u64; 64],
    /// A bit a port: no upcall for it.
    pub evtchn_mask: [u64; 64],
    /// Odd while the wall clock is being written.
    pub wc_version: u32,
    /// Wall clock at boot: seconds.
    pub wc_sec: u32,
    /// Wall clock at boot: ns.
    pub wc_nsec: u32,
    /// Wall clock at boot: high half of the seconds.
    pub wc_sec_hi: u32,
    /// The x86 part.
    pub arch: ArchSharedInfo,
}

/// Offset of `evtchn_pending` in [`SharedInfo`].
pub const EVTCHN_PENDING_OFFSET: u64 = 2048;
/// Offset of `evtchn_mask` in [`SharedInfo`].
pub const EVTCHN_MASK_OFFSET: u64 = 2560;
/// Offset of `wc_version` in [`SharedInfo`].
pub const WC_OFFSET: u64 = 3072;

const _: () = assert!(size_of::<VcpuTimeInfo>() == 32);
const _: () = assert!(size_of::<VcpuInfo>() == 64);
const _: () = assert!(size_of::<ArchSharedInfo>() == 48);
const _: () = assert!(size_of::<SharedInfo>() == 3136);
const _: () =
    assert!(core::mem::offset_of!(SharedInfo, evtchn_pending) as u64 == EVTCHN_PENDING_OFFSET);
const _: () = assert!(core::mem::offset_of!(SharedInfo, evtchn_mask) as u64 == EVTCHN_MASK_OFFSET);
const _: () = assert!(core::mem::offset_of!(SharedInfo, wc_version) as u64 == WC_OFFSET);
const _: () = assert!(core::mem::offset_of!(SharedInfo, arch) == 3088);
