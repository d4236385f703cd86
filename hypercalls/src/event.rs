//! Event channels, two-level (`event_channel.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ports of the two-level layout: 64 words of 64 bits (`NR_EVENT_CHANNELS`).
pub const NR_EVENT_CHANNELS: u32 = 4096;

/// Bind to another domain's unbound port.
pub const EVTCHNOP_BIND_INTERDOMAIN: u32 = 0;
/// Bind a virtual interrupt: [`BindVirq`].
pub const EVTCHNOP_BIND_VIRQ: u32 = 1;
/// Bind a hardware interrupt; privileged.
pub const EVTCHNOP_BIND_PIRQ: u32 = 2;
/// Close a port: [`PortArg`].
pub const EVTCHNOP_CLOSE: u32 = 3;
/// Send through a port: [`PortArg`].
pub const EVTCHNOP_SEND: u32 = 4;
/// A port's state: [`EvtchnStatus`].
pub const EVTCHNOP_STATUS: u32 = 5;
/// A port another domain can bind: [`AllocUnbound`].
pub const EVTCHNOP_ALLOC_UNBOUND: u32 = 6;
/// Bind an inter-processor interrupt: [`BindIpi`].
pub const EVTCHNOP_BIND_IPI: u32 = 7;
/// Move a port to another vCPU: [`BindVcpu`].
pub const EVTCHNOP_BIND_VCPU: u32 = 8;
/// Clear a port's mask bit and deliver what waits: [`PortArg`].
pub const EVTCHNOP_UNMASK: u32 = 9;
/// Close all ports.
pub const EVTCHNOP_RESET: u32 = 10;
/// Switch to the FIFO layout; -ENOSYS here.
pub const EVTCHNOP_INIT_CONTROL: u32 = 11;

/// The timer's virtual interrupt (`xen.h`).
pub const VIRQ_TIMER: u32 = 0;
/// A debug dump was asked for (`xen.h`).
pub const VIRQ_DEBUG: u32 = 1;
/// Virtual interrupts there are (`xen.h`).
pub const NR_VIRQS: u32 = 24;

/// Argument of [`EVTCHNOP_BIND_VIRQ`]: 12 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BindVirq {
    /// In: which one.
    pub virq: u32,
    /// In: on which vCPU.
    pub vcpu: u32,
    /// Out: the port.
    pub port: u32,
}

/// Argument of [`EVTCHNOP_BIND_IPI`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BindIpi {
    /// In: the vCPU that receives.
    pub vcpu: u32,
    /// Out: the port.
    pub port: u32,
}

/// Argument of [`EVTCHNOP_BIND_VCPU`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BindVcpu {
    /// The port.
    pub port: u32,
    /// The vCPU that shall receive.
    pub vcpu: u32,
}

/// Argument of close, send and unmask: 4 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PortArg {
    /// The port.
    pub port: u32,
}

/// Argument of [`EVTCHNOP_ALLOC_UNBOUND`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AllocUnbound {
    /// In: the domain that gets the port.
    pub dom: u16,
    /// In: the domain that may bind to it.
    pub remote_dom: u16,
    /// Out: the port.
    pub port: u32,
}

/// Argument of [`EVTCHNOP_STATUS`]: 24 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct EvtchnStatus {
    /// In: the port's domain.
    pub dom: u16,
    /// Padding.
    pub pad: u16,
    /// In: the port.
    pub port: u32,
    /// Out: one of the `EVTCHNSTAT_*` numbers.
    pub status: u32,
    /// Out: the vCPU that receives.
    pub vcpu: u32,
    /// Out: virq, or peer, by status.
    pub detail: [u32; 2],
}

/// Not in use.
pub const EVTCHNSTAT_CLOSED: u32 = 0;
/// Waits for a peer.
pub const EVTCHNSTAT_UNBOUND: u32 = 1;
/// Connected to another domain.
pub const EVTCHNSTAT_INTERDOMAIN: u32 = 2;
/// A hardware interrupt.
pub const EVTCHNSTAT_PIRQ: u32 = 3;
/// A virtual interrupt.
pub const EVTCHNSTAT_VIRQ: u32 = 4;
/// An inter-processor interrupt.
pub const EVTCHNSTAT_IPI: u32 = 5;

const _: () = assert!(size_of::<BindVirq>() == 12);
const _: () = assert!(size_of::<AllocUnbound>() == 8);
const _: () = assert!(size_of::<EvtchnStatus>() == 24);
