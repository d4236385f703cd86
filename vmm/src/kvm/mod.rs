//! KVM: the only code that names `kvm_ioctls`. Everything above it deals in registers, machine
//! addresses and steps, and runs without a host.
//!
//! `open` and `probe` find out what the host is like; `layout` and `install` prepare the
//! hypervisor's frames; `run` is a vCPU's life; `watch` is everything beside it.

mod console;
mod cpu;
mod cpuid;
mod fault;
mod flip;
mod floor;
mod frame;
mod host;
mod input;
mod install;
mod kick;
mod layout;
mod open;
mod probe;
mod run;
mod shared;
mod state;
mod stubs;
mod tsc;
mod vm;
mod watch;

pub use fault::Fault;
pub use floor::bare_exits;
pub use host::{Host, Machine, Options, Outcome, StartError};
pub use open::{Capability, HostError, capabilities, device};
pub use probe::{Coherence, Costs, Probe, probe_costs};
pub use shared::Ending;
