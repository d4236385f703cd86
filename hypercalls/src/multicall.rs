//! Several hypercalls in one trap (`xen.h`, `struct multicall_entry`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One hypercall of a multicall: 64 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MulticallEntry {
    /// The hypercall's number.
    pub op: u64,
    /// Written by the hypervisor: what the call returned.
    pub result: i64,
    /// The arguments in order.
    pub args: [u64; 6],
}

const _: () = assert!(size_of::<MulticallEntry>() == 64);
