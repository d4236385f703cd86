//! The xenstore protocol (`io/xs_wire.h`): message headers, types, error names, the ring.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most bytes that follow a header.
pub const PAYLOAD_MAX: u32 = 4096;
/// The longest path from the root.
pub const ABS_PATH_MAX: usize = 3072;
/// The longest path from the domain's own directory.
pub const REL_PATH_MAX: usize = 2048;

/// What precedes a payload.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// One of `XS_*`.
    pub kind: u32,
    /// The sender's choice; answers carry it.
    pub req_id: u32,
    /// The transaction, 0 for none.
    pub tx_id: u32,
    /// Bytes that follow.
    pub len: u32,
}

const _: () = assert!(size_of::<Header>() == 16);

/// For the control domain.
pub const XS_CONTROL: u32 = 0;
/// A node's children: path.
pub const XS_DIRECTORY: u32 = 1;
/// A node's value: path.
pub const XS_READ: u32 = 2;
/// A node's permissions: path.
pub const XS_GET_PERMS: u32 = 3;
/// Be told of changes: path, token.
pub const XS_WATCH: u32 = 4;
/// No longer: path, token.
pub const XS_UNWATCH: u32 = 5;
/// Begin a transaction: empty text.
pub const XS_TRANSACTION_START: u32 = 6;
/// End it: "T" to keep its changes, "F" to forget them.
pub const XS_TRANSACTION_END: u32 = 7;
/// For the control domain.
pub const XS_INTRODUCE: u32 = 8;
/// For the control domain.
pub const XS_RELEASE: u32 = 9;
/// A domain's directory: number.
pub const XS_GET_DOMAIN_PATH: u32 = 10;
/// A node's value: path, then the bytes.
pub const XS_WRITE: u32 = 11;
/// A node without a value: path.
pub const XS_MKDIR: u32 = 12;
/// Remove a node and what is below: path.
pub const XS_RM: u32 = 13;
/// A node's permissions: path, then one text each.
pub const XS_SET_PERMS: u32 = 14;
/// Something changed: path, token. From the store.
pub const XS_WATCH_EVENT: u32 = 15;
/// A request failed: an error's name. From the store.
pub const XS_ERROR: u32 = 16;
/// Whether a domain is known: number.
pub const XS_IS_DOMAIN_INTRODUCED: u32 = 17;
/// For the control domain.
pub const XS_RESUME: u32 = 18;
/// For the control domain.
pub const XS_SET_TARGET: u32 = 19;
/// Forget all watches and transactions.
pub const XS_RESET_WATCHES: u32 = 21;
/// A part of a node's children: path, offset.
pub const XS_DIRECTORY_PART: u32 = 22;

/// Bytes of each direction's ring (`XENSTORE_RING_SIZE`).
pub const RING_SIZE: usize = 1024;
/// Offset of the requests' buffer.
pub const RING_REQ_OFFSET: u64 = 0;
/// Offset of the responses' buffer.
pub const RING_RSP_OFFSET: u64 = RING_REQ_OFFSET + RING_SIZE as u64;
/// Offset of `req_cons`; `req_prod`, `rsp_cons` and `rsp_prod` follow, 4 bytes each.
pub const RING_INDICES_OFFSET: u64 = RING_RSP_OFFSET + RING_SIZE as u64;
/// Offset of the error word, after the indices, the features and the connection's state.
pub const RING_ERROR_OFFSET: u64 = RING_INDICES_OFFSET + 6 * 4;
/// The error word: an index is out of range.
pub const RING_ERROR_RINGIDX: u32 = 2;
/// The error word: a message is none.
pub const RING_ERROR_PROTO: u32 = 3;

const _: () = assert!(RING_ERROR_OFFSET == 2072);
