//! Page-table hypercalls: `mmu_update`, `mmuext_op`, `update_va_mapping` (`xen.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One request of `mmu_update`: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MmuUpdate {
    /// Machine address of the entry, 8-byte aligned, with the command in its low bits
    /// ([`MMU_COMMAND_MASK`]).
    pub ptr: u64,
    /// The new entry; for [`MMU_MACHPHYS_UPDATE`] the pfn.
    pub val: u64,
}

/// The bits of [`MmuUpdate::ptr`] that hold the command.
pub const MMU_COMMAND_MASK: u64 = 7;
/// Write `val` to the entry.
pub const MMU_NORMAL_PT_UPDATE: u64 = 0;
/// Set the machine-to-physical entry of the frame at `ptr` to `val`.
pub const MMU_MACHPHYS_UPDATE: u64 = 1;
/// As the normal update, but A and D keep the entry's present values.
pub const MMU_PT_UPDATE_PRESERVE_AD: u64 = 2;
/// As the normal update, without translating `val`; -ENOSYS for a PV guest.
pub const MMU_PT_UPDATE_NO_TRANSLATE: u64 = 3;
/// Set in the count of a call that continues one cut short (`MMU_UPDATE_PREEMPTED`).
pub const MMU_UPDATE_PREEMPTED: u32 = 1 << 31;

/// One operation of `mmuext_op`: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MmuextOp {
    /// One of the `MMUEXT_*` numbers.
    pub cmd: u32,
    /// Padding.
    pub pad: u32,
    /// A frame number, or a virtual address for the flushes of one page.
    pub arg1: u64,
    /// A count, or a pointer to a vCPU mask.
    pub arg2: u64,
}

/// Pin as L1.
pub const MMUEXT_PIN_L1_TABLE: u32 = 0;
/// Pin as L2.
pub const MMUEXT_PIN_L2_TABLE: u32 = 1;
/// Pin as L3.
pub const MMUEXT_PIN_L3_TABLE: u32 = 2;
/// Pin as L4.
pub const MMUEXT_PIN_L4_TABLE: u32 = 3;
/// Drop a pin.
pub const MMUEXT_UNPIN_TABLE: u32 = 4;
/// Load the kernel's page table.
pub const MMUEXT_NEW_BASEPTR: u32 = 5;
/// Flush this vCPU's TLB.
pub const MMUEXT_TLB_FLUSH_LOCAL: u32 = 6;
/// Flush one page on this vCPU.
pub const MMUEXT_INVLPG_LOCAL: u32 = 7;
/// Flush the TLBs of the vCPUs in the mask at `arg2`.
pub const MMUEXT_TLB_FLUSH_MULTI: u32 = 8;
/// Flush one page on the vCPUs in the mask at `arg2`.
pub const MMUEXT_INVLPG_MULTI: u32 = 9;
/// Flush every vCPU's TLB.
pub const MMUEXT_TLB_FLUSH_ALL: u32 = 10;
/// Flush one page on every vCPU.
pub const MMUEXT_INVLPG_ALL: u32 = 11;
/// Write back and invalidate caches.
pub const MMUEXT_FLUSH_CACHE: u32 = 12;
/// Load an LDT: base in `arg1`, entries in `arg2`.
pub const MMUEXT_SET_LDT: u32 = 13;
/// Load the page table used in user mode.
pub const MMUEXT_NEW_USER_BASEPTR: u32 = 15;
/// Zero a frame.
pub const MMUEXT_CLEAR_PAGE: u32 = 16;
/// Copy a frame: to `arg1`, from `arg2`.
pub const MMUEXT_COPY_PAGE: u32 = 17;
/// Flush caches everywhere.
pub const MMUEXT_FLUSH_CACHE_GLOBAL: u32 = 18;
/// Mark a superpage; -EOPNOTSUPP.
pub const MMUEXT_MARK_SUPER: u32 = 19;
/// Unmark a superpage; -EOPNOTSUPP.
pub const MMUEXT_UNMARK_SUPER: u32 = 20;

/// An operation's name without its prefix, in small letters; `None` for a number without meaning.
#[must_use]
pub const fn mmuext_name(cmd: u32) -> Option<&'static str> {
    Some(match cmd {
        MMUEXT_PIN_L1_TABLE => "pin_l1_table",
        MMUEXT_PIN_L2_TABLE => "pin_l2_table",
        MMUEXT_PIN_L3_TABLE => "pin_l3_table",
        MMUEXT_PIN_L4_TABLE => "pin_l4_table",
        MMUEXT_UNPIN_TABLE => "unpin_table",
        MMUEXT_NEW_BASEPTR => "new_baseptr",
        MMUEXT_TLB_FLUSH_LOCAL => "tlb_flush_local",
        MMUEXT_INVLPG_LOCAL => "invlpg_local",
        MMUEXT_TLB_FLUSH_MULTI => "tlb_flush_multi",
        MMUEXT_INVLPG_MULTI => "invlpg_multi",
        MMUEXT_TLB_FLUSH_ALL => "tlb_flush_all",
        MMUEXT_INVLPG_ALL => "invlpg_all",
        MMUEXT_FLUSH_CACHE => "flush_cache",
        MMUEXT_SET_LDT => "set_ldt",
        MMUEXT_NEW_USER_BASEPTR => "new_user_baseptr",
        MMUEXT_CLEAR_PAGE => "clear_page",
        MMUEXT_COPY_PAGE => "copy_page",
        MMUEXT_FLUSH_CACHE_GLOBAL => "flush_cache_global",
        MMUEXT_MARK_SUPER => "mark_super",
        MMUEXT_UNMARK_SUPER => "unmark_super",
        _ => return None,
    })
}

/// What `update_va_mapping` flushes: the low two bits of its flags.
pub const UVMF_FLUSHTYPE_MASK: u64 = 3;
/// No flush.
pub const UVMF_NONE: u64 = 0;
/// The whole TLB.
pub const UVMF_TLB_FLUSH: u64 = 1;
/// One page.
pub const UVMF_INVLPG: u64 = 2;
/// Where: bit 2 set means every vCPU; clear and no mask pointer, the calling one.
pub const UVMF_ALL: u64 = 4;

const _: () = assert!(size_of::<MmuUpdate>() == 16);
const _: () = assert!(size_of::<MmuextOp>() == 24);
