//! A domain: its memory, vCPUs, event channels, console, clock and counters.
//!
//! Owns everything a guest can change but the host's own state. Comes in: a [`Program`] and a
//! [`DomainConfig`] ([`build()`]), then traps, through `crate::hypercall` and `crate::trap`. Goes out:
//! a [`Step`] a trap, the vCPUs to be kicked, console bytes, numbers. One lock around it.

mod build;
mod check;
mod clock;
mod console;
mod cpuid;
mod error;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
mod host;
mod lab;
mod layout;
mod load;
mod notify;
mod paranoia;
mod program;
mod regs;
mod ring;
mod runstate;
mod services;
mod step;
mod stubs;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod timers;
mod vcpu;
mod xstate;

pub use build::build;
pub use clock::Clock;
pub use console::Console;
pub use cpuid::{Cpuid, Leaf, TSC_LEAF, VERSION};
pub use error::BuildError;
pub use events::{Binding, Events, Port};
pub use host::{DomainConfig, GRANT_FRAMES, HostLayout, MAX_CPUS};
pub use lab::{CellReport, Lab, LabError, MAX_CELLS};
pub use layout::{Layout, LayoutError};
pub use paranoia::Paranoia;
pub use program::{PAGES_PER_MIB, Piece, Program};
pub use regs::*;
pub use runstate::{Runstate, State};
pub use services::Services;
pub use step::{Crash, CrashReason, Step};
pub use timers::{Periodic, Timers};
pub use vcpu::{Callbacks, Entry, Gdt, Nmi, PortMap, Streak, Vcpu, Wait};
pub use xstate::CR4_OSXSAVE;

use crate::attribution::Attribution;
use crate::memory::Memory;
use crate::mm::{Effects, GuestView, Mm};
use crate::stats::Stats;
use hypercalls::{Maddr, Mfn};
use std::collections::BTreeMap;

/// A running domain.
#[derive(Debug)]
pub struct Domain {
    /// The machine's memory.
    pub memory: Memory,
    /// Page types and counts.
    pub mm: Mm,
    /// vCPUs.
    pub vcpus: Vec<Vcpu>,
    /// Event channels.
    pub events: Events,
    /// Console bytes.
    pub console: Console,
    /// Console ring and xenstore.
    pub services: Services,
    /// Time.
    pub clock: Clock,
    /// Counters.
    pub stats: Stats,
    /// Measured sections.
    pub lab: Lab,
    /// Measured operations of user mode.
    pub attribution: Attribution,
    /// What an emulated `cpuid` answers; the host puts its own table here.
    pub cpuid: Cpuid,
    /// Where everything was put.
    pub layout: Layout,
    /// The hypervisor's part of the machine.
    pub host: HostLayout,
    /// Frames of memory the guest owns.
    pub nr_pages: u64,
    /// The shared-info page.
    pub shared_info: Maddr,
    /// The emulation modes the guest switched on, a bit a `VMASST_TYPE_*` number.
    pub assists: u64,
    /// Frames of grant table the guest has asked for.
    pub(crate) grant_frames_used: u32,
    /// Whether hypercalls destroy what they may ([`DomainConfig::poison`]).
    pub poison: bool,
    /// Recounts of the page-table rules as the domain runs, if they are wanted.
    pub paranoia: Option<Paranoia>,
    kicks: u64,
    pub(crate) updates_in_trap: u64,
}

impl Domain {
    /// The machine frame of pseudo-physical frame 0; the others follow.
    #[must_use]
    pub fn first_mfn(&self) -> Mfn {
        Mfn(self.host.hv_frames)
    }

    /// The grant table's first frame; the others follow.
    #[must_use]
    pub fn first_grant_frame(&self) -> Mfn {
        self.shared_info.mfn().add(1)
    }

    /// The guest's memory as vCPU `cpu` sees it now.
    #[must_use]
    pub fn view(&self, cpu: usize) -> GuestView<'_> {
        GuestView {
            mem: &self.memory,
            root: self.vcpus[cpu].root(),
        }
    }

    /// The guest's memory as the kernel on vCPU `cpu` sees it.
    #[must_use]
    pub fn kernel_view(&self, cpu: usize) -> GuestView<'_> {
        GuestView {
            mem: &self.memory,
            root: self.vcpus[cpu].kernel_base,
        }
    }

    /// A domain without a kernel in its memory: `mem_mib` of memory, `cpus` vCPUs, the first one
    /// in kernel mode on the builder's page tables. For a kernel that runs elsewhere, and tests.
    ///
    /// # Errors
    /// As [`build()`].
    pub fn bare(mem_mib: u64, cpus: usize) -> Result<(Domain, Regs), BuildError> {
        let config = DomainConfig {
            mem_mib,
            cpus,
            ..DomainConfig::default()
        };
        let host = HostLayout::bare(mem_mib.min(error::MAX_MIB));
        build(&Program::none(), &config, &host)
    }

    /// What the host must do before the guest runs again, counted: each entry once, with what it
    /// holds now. A later store over one that was cleared is not logged by itself.
    pub fn take_effects(&mut self) -> Effects {
        let early = self.mm.awaits_flush();
        let mut effects = self.mm.take_effects();
        effects.stores.sort_unstable_by_key(|store| store.at);
        effects.stores.dedup_by_key(|store| store.at);
        for store in &mut effects.stores {
            // The rules wrote it: it is in memory.
            store.value = self.memory.read_u64(store.at).unwrap_or(store.value);
        }
        let counters = &mut self.stats.counters;
        counters.early_flushes += u64::from(early);
        counters.flushes += u64::from(effects.flush.vcpus.count_ones());
        counters.page_flushes += effects.flush.pages.len() as u64;
        effects
    }

    /// How often each error was returned: refusals of the page-table rules by their reason, those
    /// of other hypercalls by the error's name.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&'static str, u64> {
        let mut errors = self.stats.errors.clone();
        for (name, count) in self.mm.refusals() {
            *errors.entry(name).or_default() += count;
        }
        errors
    }

    /// The vCPUs that must leave the guest so that they see an event; each is told once. Whoever
    /// handles a trap of vCPU `i` may leave out bit `i`.
    pub fn kicks(&mut self) -> u64 {
        std::mem::take(&mut self.kicks)
    }

    /// Whether a mode of `vm_assist` is on.
    #[must_use]
    pub fn assists(&self, kind: u32) -> bool {
        kind < 64 && self.assists >> kind & 1 != 0
    }
}
