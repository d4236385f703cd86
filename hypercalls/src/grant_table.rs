//! `grant_table_op` (`grant_table.h`): operations, argument layouts, status codes.

use crate::DomId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Map granted frames: [`MapGrantRef`] array.
pub const GNTTABOP_MAP_GRANT_REF: u32 = 0;
/// Unmap them: [`UnmapGrantRef`] array.
pub const GNTTABOP_UNMAP_GRANT_REF: u32 = 1;
/// Where the table's frames are: [`SetupTable`].
pub const GNTTABOP_SETUP_TABLE: u32 = 2;
/// Give frames away: [`Transfer`] array.
pub const GNTTABOP_TRANSFER: u32 = 4;
/// Copy between granted frames: [`CopyOp`] array.
pub const GNTTABOP_COPY: u32 = 5;
/// How large the table is: [`QuerySize`].
pub const GNTTABOP_QUERY_SIZE: u32 = 6;
/// Unmap and put another frame there: [`UnmapGrantRef`] array.
pub const GNTTABOP_UNMAP_AND_REPLACE: u32 = 7;
/// The entries' layout: [`SetVersion`].
pub const GNTTABOP_SET_VERSION: u32 = 8;
/// Where version 2's status frames are: [`GetStatusFrames`].
pub const GNTTABOP_GET_STATUS_FRAMES: u32 = 9;
/// The entries' layout: [`GetVersion`].
pub const GNTTABOP_GET_VERSION: u32 = 10;

/// Done.
pub const GNTST_OKAY: i16 = 0;
/// It cannot be.
pub const GNTST_GENERAL_ERROR: i16 = -1;
/// No such domain.
pub const GNTST_BAD_DOMAIN: i16 = -2;
/// No such mapping.
pub const GNTST_BAD_HANDLE: i16 = -4;

/// Arguments of [`GNTTABOP_MAP_GRANT_REF`]: 32 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MapGrantRef {
    /// Where it shall be mapped.
    pub host_addr: u64,
    /// How.
    pub flags: u32,
    /// Which grant.
    pub gref: u32,
    /// Whose.
    pub dom: DomId,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Answer: the mapping's number.
    pub handle: u32,
    /// Answer: the frame's bus address.
    pub dev_bus_addr: u64,
}

/// Arguments of [`GNTTABOP_UNMAP_GRANT_REF`] and [`GNTTABOP_UNMAP_AND_REPLACE`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct UnmapGrantRef {
    /// Where it is mapped.
    pub host_addr: u64,
    /// Its bus address, or the replacement's address.
    pub other_addr: u64,
    /// The mapping's number.
    pub handle: u32,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub pad: u16,
}

/// Arguments of [`GNTTABOP_SETUP_TABLE`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetupTable {
    /// Whose.
    pub dom: DomId,
    /// Padding.
    pub pad0: u16,
    /// How many frames are wanted.
    pub nr_frames: u32,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub pad1: [u16; 3],
    /// Answer: where their numbers go, 8 bytes each.
    pub frame_list: u64,
}

/// Arguments of [`GNTTABOP_TRANSFER`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Transfer {
    /// The frame.
    pub mfn: u64,
    /// To whom.
    pub dom: DomId,
    /// Padding.
    pub pad0: u16,
    /// The receiver's grant.
    pub gref: u32,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub pad1: [u16; 3],
}

/// One side of a [`CopyOp`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CopySide {
    /// A grant, or a frame number of the caller's.
    pub gref_or_gfn: u64,
    /// Whose.
    pub dom: DomId,
    /// From which byte on.
    pub offset: u16,
    /// Padding.
    pub pad: u32,
}

/// Arguments of [`GNTTABOP_COPY`]: 40 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CopyOp {
    /// From where.
    pub source: CopySide,
    /// To where.
    pub dest: CopySide,
    /// Bytes.
    pub len: u16,
    /// Which sides are grants.
    pub flags: u16,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub pad: u16,
}

/// Arguments of [`GNTTABOP_QUERY_SIZE`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct QuerySize {
    /// Whose.
    pub dom: DomId,
    /// Padding.
    pub pad0: u16,
    /// Answer: frames in use.
    pub nr_frames: u32,
    /// Answer: frames there can be.
    pub max_nr_frames: u32,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Padding.
    pub pad1: u16,
}

/// Arguments of [`GNTTABOP_SET_VERSION`]: 4 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetVersion {
    /// Wanted, 1 or 2; answer: in use.
    pub version: u32,
}

/// Arguments of [`GNTTABOP_GET_STATUS_FRAMES`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct GetStatusFrames {
    /// How many are wanted.
    pub nr_frames: u32,
    /// Whose.
    pub dom: DomId,
    /// Answer: one of `GNTST_*`.
    pub status: i16,
    /// Answer: where their numbers go.
    pub frame_list: u64,
}

/// Arguments of [`GNTTABOP_GET_VERSION`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct GetVersion {
    /// Whose.
    pub dom: DomId,
    /// Padding.
    pub pad: u16,
    /// Answer.
    pub version: u32,
}

const _: () = assert!(size_of::<MapGrantRef>() == 32);
const _: () = assert!(size_of::<UnmapGrantRef>() == 24);
const _: () = assert!(size_of::<SetupTable>() == 24);
const _: () = assert!(size_of::<Transfer>() == 24);
const _: () = assert!(size_of::<CopyOp>() == 40);
const _: () = assert!(size_of::<QuerySize>() == 16);
const _: () = assert!(size_of::<GetStatusFrames>() == 16);
const _: () = assert!(size_of::<GetVersion>() == 8);
