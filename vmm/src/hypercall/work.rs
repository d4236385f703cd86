//! What calls take beside the entries of tables they handle, in the same unit of about 4 ns
//! ([`Mm::work`](crate::mm::Mm::work)): so much is charged that no mixture of calls holds the
//! hypervisor longer than a trap may. Upper bounds of what was measured, with everything around it.

/// A multicall's entry, whatever it asks for.
pub(super) const ENTRY: u64 = 32;
/// A request of `mmu_update`.
pub(super) const UPDATE: u64 = 16;
/// A request of `mmuext_op`: each is copied in by a walk of its own.
pub(super) const OPERATION: u64 = 32;
/// An element that is copied in by itself.
pub(super) const ELEMENT: u64 = 16;
/// An element that is compared with the tables, or copied out again.
pub(super) const ANSWERED: u64 = 64;
/// A context of a vCPU, copied in and checked.
pub(super) const CONTEXT: u64 = 1024;
/// A look at every event channel.
pub(super) const PORTS: u64 = 1024;

/// A notification of the host: a service takes what is in its ring.
pub(super) const SERVICE: u64 = 1 << 14;

/// Bytes that are copied.
pub(super) const fn bytes(count: u64) -> u64 {
    ELEMENT + count / 16
}
