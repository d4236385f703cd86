//! Entry points (`callback.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Register one: [`CallbackRegister`].
pub const CALLBACKOP_REGISTER: u32 = 0;
/// Unregister one: its type, 2 bytes.
pub const CALLBACKOP_UNREGISTER: u32 = 1;

/// Event upcall.
pub const CALLBACKTYPE_EVENT: u16 = 0;
/// `iret` to a bad frame.
pub const CALLBACKTYPE_FAILSAFE: u16 = 1;
/// `syscall` from 64-bit user mode.
pub const CALLBACKTYPE_SYSCALL: u16 = 2;
/// NMI.
pub const CALLBACKTYPE_NMI: u16 = 4;
/// `sysenter`.
pub const CALLBACKTYPE_SYSENTER: u16 = 5;
/// `syscall` from 32-bit user mode.
pub const CALLBACKTYPE_SYSCALL32: u16 = 7;

/// Upcalls are masked on entry.
pub const CALLBACKF_MASK_EVENTS: u16 = 1;

/// Argument of [`CALLBACKOP_REGISTER`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CallbackRegister {
    /// One of the `CALLBACKTYPE_*` numbers.
    pub kind: u16,
    /// [`CALLBACKF_MASK_EVENTS`] or 0.
    pub flags: u16,
    /// Padding.
    pub pad: u32,
    /// The entry point.
    pub address: u64,
}

const _: () = assert!(size_of::<CallbackRegister>() == 16);
