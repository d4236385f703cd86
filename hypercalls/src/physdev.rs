//! `physdev_op` (`physdev.h`): what a guest without devices asks for.

/// The kernel's I/O privilege: 4 bytes.
pub const PHYSDEVOP_SET_IOPL: u32 = 6;
/// The I/O permission bitmap: its address, 8 bytes, the number of its ports, 4 bytes, and 4 of
/// nothing.
pub const PHYSDEVOP_SET_IOBITMAP: u32 = 7;
