//! `vm_assist` (`xen.h`).

/// Switch a mode on.
pub const VMASST_CMD_ENABLE: u32 = 0;
/// Switch a mode off.
pub const VMASST_CMD_DISABLE: u32 = 1;

/// 4 GiB segments (32-bit guests).
pub const VMASST_TYPE_4GB_SEGMENTS: u32 = 0;
/// Notification of the above.
pub const VMASST_TYPE_4GB_SEGMENTS_NOTIFY: u32 = 1;
/// The kernel's direct writes to its L1 tables are emulated.
pub const VMASST_TYPE_WRITABLE_PAGETABLES: u32 = 2;
/// PAE top-level tables above 4 GiB (32-bit guests).
pub const VMASST_TYPE_PAE_EXTENDED_CR3: u32 = 3;
/// iopl is the guest's own.
pub const VMASST_TYPE_ARCHITECTURAL_IOPL: u32 = 4;
/// Runstate updates are flagged.
pub const VMASST_TYPE_RUNSTATE_UPDATE_FLAG: u32 = 5;
/// The machine-to-physical table is mapped in the guest only if asked for.
pub const VMASST_TYPE_M2P_STRICT: u32 = 32;
