//! `console_io` (`xen.h`) and the console ring (`io/console.h`).

/// Write `count` bytes from the buffer.
pub const CONSOLEIO_WRITE: u32 = 0;
/// Read up to `count` bytes into the buffer; the result is the number read.
pub const CONSOLEIO_READ: u32 = 1;

/// Bytes of the ring towards the guest.
pub const RING_IN_SIZE: usize = 1024;
/// Bytes of the ring from the guest.
pub const RING_OUT_SIZE: usize = 2048;
/// Offsets in the ring's page: in, out, then `in_cons`, `in_prod`, `out_cons`, `out_prod`.
pub const RING_IN_OFFSET: u64 = 0;
/// Offset of the out buffer.
pub const RING_OUT_OFFSET: u64 = RING_IN_OFFSET + RING_IN_SIZE as u64;
/// Offset of `in_cons`; the other three indices follow, 4 bytes each.
pub const RING_INDICES_OFFSET: u64 = RING_OUT_OFFSET + RING_OUT_SIZE as u64;
