//! `sched_op` (`sched.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Give the CPU away; no argument.
pub const SCHEDOP_YIELD: u32 = 0;
/// Unmask upcalls and wait for an event; no argument.
pub const SCHEDOP_BLOCK: u32 = 1;
/// End the domain: [`SchedShutdown`].
pub const SCHEDOP_SHUTDOWN: u32 = 2;
/// Wait for one of some ports, upcalls masked: [`SchedPoll`].
pub const SCHEDOP_POLL: u32 = 3;

/// Clean power-off.
pub const SHUTDOWN_POWEROFF: u32 = 0;
/// Reboot.
pub const SHUTDOWN_REBOOT: u32 = 1;
/// Suspend.
pub const SHUTDOWN_SUSPEND: u32 = 2;
/// The kernel crashed.
pub const SHUTDOWN_CRASH: u32 = 3;
/// A watchdog ran out.
pub const SHUTDOWN_WATCHDOG: u32 = 4;

/// Argument of [`SCHEDOP_SHUTDOWN`]: 4 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SchedShutdown {
    /// One of the `SHUTDOWN_*` numbers.
    pub reason: u32,
}

/// Argument of [`SCHEDOP_POLL`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SchedPoll {
    /// Virtual address of an array of `u32` ports.
    pub ports: u64,
    /// How many; at most [`SCHED_POLL_MAX_PORTS`].
    pub nr_ports: u32,
    /// Padding.
    pub pad: u32,
    /// Absolute system time in ns to give up at; 0 never.
    pub timeout: u64,
}

/// Ports one poll may name.
pub const SCHED_POLL_MAX_PORTS: u32 = 128;

const _: () = assert!(size_of::<SchedPoll>() == 24);
