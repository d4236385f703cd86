//! Exceptions: the table, the frame hypercall `iret` reads, vectors (`arch-x86/xen.h`,
//! `arch-x86/xen-x86_64.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The flat kernel code selector a guest sees, RPL 3 (`FLAT_KERNEL_CS`).
pub const FLAT_KERNEL_CS: u16 = 0xe033;
/// The flat data selector (`FLAT_KERNEL_DS`, `FLAT_USER_DS`).
pub const FLAT_DS: u16 = 0xe02b;
/// The flat 32-bit code selector (`FLAT_RING3_CS32`).
pub const FLAT_USER_CS32: u16 = 0xe023;

/// One handler of `set_trap_table`: 16 bytes; `address` 0 ends the table.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TrapInfo {
    /// The vector.
    pub vector: u8,
    /// Bits 0..1: the privilege `int n` needs. Bit 2: mask upcalls on entry.
    pub flags: u8,
    /// Code selector.
    pub cs: u16,
    /// Padding.
    pub pad: u32,
    /// The handler.
    pub address: u64,
}

impl TrapInfo {
    /// Bit 2 of `flags`: upcalls are masked on entry.
    pub const MASK_EVENTS: u8 = 1 << 2;
    /// The DPL that `int n` is checked against.
    #[must_use]
    pub const fn dpl(self) -> u8 {
        self.flags & 3
    }
    /// Whether upcalls are masked on entry.
    #[must_use]
    pub const fn masks_events(self) -> bool {
        self.flags & Self::MASK_EVENTS != 0
    }
}

/// What `iret` pops, lowest address first: 72 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IretContext {
    /// rax to restore.
    pub rax: u64,
    /// r11 to restore, unless [`VGCF_IN_SYSCALL`].
    pub r11: u64,
    /// rcx to restore, unless [`VGCF_IN_SYSCALL`].
    pub rcx: u64,
    /// [`VGCF_IN_SYSCALL`] or 0.
    pub flags: u64,
    /// Where to go on.
    pub rip: u64,
    /// Code selector; RPL 3 means to user mode.
    pub cs: u64,
    /// Flags; IF becomes the upcall mask, inverted.
    pub rflags: u64,
    /// The stack.
    pub rsp: u64,
    /// Stack selector.
    pub ss: u64,
}

/// The return is from a system call: rcx and r11 need not be restored.
pub const VGCF_IN_SYSCALL: u64 = 1 << 8;

/// #DE.
pub const DE: u8 = 0;
/// #DB.
pub const DB: u8 = 1;
/// NMI.
pub const NMI: u8 = 2;
/// #BP.
pub const BP: u8 = 3;
/// #OF.
pub const OF: u8 = 4;
/// #UD.
pub const UD: u8 = 6;
/// #NM.
pub const NM: u8 = 7;
/// #DF.
pub const DF: u8 = 8;
/// #TS.
pub const TS: u8 = 10;
/// #NP.
pub const NP: u8 = 11;
/// #SS.
pub const SS: u8 = 12;
/// #GP.
pub const GP: u8 = 13;
/// #PF.
pub const PF: u8 = 14;
/// #MF.
pub const MF: u8 = 16;
/// #AC.
pub const AC: u8 = 17;
/// #XM.
pub const XM: u8 = 19;

/// Whether the CPU pushes an error code for `vector` (Intel SDM vol. 3 table 6-1).
#[must_use]
pub const fn has_error_code(vector: u8) -> bool {
    matches!(vector, DF | TS | NP | SS | GP | PF | AC | 21 | 29 | 30)
}

/// #PF error code: the page was present.
pub const PFEC_PRESENT: u64 = 1 << 0;
/// #PF error code: a write.
pub const PFEC_WRITE: u64 = 1 << 1;
/// #PF error code: from user mode.
pub const PFEC_USER: u64 = 1 << 2;
/// #PF error code: an instruction fetch.
pub const PFEC_FETCH: u64 = 1 << 4;

const _: () = assert!(size_of::<TrapInfo>() == 16);
const _: () = assert!(size_of::<IretContext>() == 72);
