//! `memory_op` (`memory.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Highest frame number of the machine; no argument.
pub const XENMEM_MAXIMUM_RAM_PAGE: u32 = 2;
/// Frames the domain owns; argument: domain.
pub const XENMEM_CURRENT_RESERVATION: u32 = 3;
/// Frames the domain may own; argument: domain.
pub const XENMEM_MAXIMUM_RESERVATION: u32 = 4;
/// The guest's memory map; argument: [`MemoryMap`].
pub const XENMEM_MEMORY_MAP: u32 = 9;
/// Where the machine-to-physical table is; argument: [`MachphysMapping`].
pub const XENMEM_MACHPHYS_MAPPING: u32 = 12;

/// Argument of [`XENMEM_MEMORY_MAP`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MemoryMap {
    /// In: entries the buffer holds. Out: entries written.
    pub nr_entries: u32,
    /// Padding.
    pub pad: u32,
    /// Virtual address of an array of [`E820Entry`].
    pub buffer: u64,
}

/// One range of the map: 20 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, packed)]
pub struct E820Entry {
    /// First byte, pseudo-physical.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// 1 RAM, 2 reserved.
    pub kind: u32,
}

/// RAM in [`E820Entry::kind`].
pub const E820_RAM: u32 = 1;

/// Argument of [`XENMEM_MACHPHYS_MAPPING`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MachphysMapping {
    /// First virtual address of the table.
    pub v_start: u64,
    /// First virtual address past it.
    pub v_end: u64,
    /// Highest frame number it has an entry for.
    pub max_mfn: u64,
}

const _: () = assert!(size_of::<MemoryMap>() == 16);
const _: () = assert!(size_of::<E820Entry>() == 20);
const _: () = assert!(size_of::<MachphysMapping>() == 24);
