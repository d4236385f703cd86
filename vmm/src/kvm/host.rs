//! A host that was opened and probed, and a domain's run on it from the first entry to the end.

use super::console::Sink;
use super::input::Input;
use super::install::Entry;
use super::layout::HvLayout;
use super::open::{self, HostError};
use super::probe::{self, Coherence, Probe};
use super::run::Runner;
use super::shared::{Ending, Shared};
use super::vm::Vm;
use super::watch::{self, Outside, Signals};
use super::{cpuid, install, kick, tsc};
use crate::attribution::Attribution;
use crate::domain::{BuildError, Clock, Domain, DomainConfig, HostLayout, Program};
use crate::memory::Memory;
use crate::sandbox::{self, Duty, SandboxError};
use crate::terminal::Raw;
use kvm_ioctls::Kvm;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// What showing a store to a host that shadows page tables takes, in entries' work: about 5 us.
const SHOWN_STORE: u64 = 256;

/// /dev/kvm, opened and probed.
#[derive(Debug)]
pub struct Host {
    kvm: Kvm,
    /// What the probe saw.
    pub probe: Probe,
}

/// How a run differs from the plainest one.
#[derive(Default)]
pub struct Options<'o> {
    /// Ends the domain after so long.
    pub time_limit: Option<Duration>,
    /// Where console output goes as it comes; without one it is kept in the domain, bounded.
    pub output: Option<Box<dyn Write + Send + 'o>>,
    /// The descriptor `output` writes to, if writing may have to wait: it must not keep the time
    /// limit or a signal from ending the domain.
    pub output_fd: Option<RawFd>,
    /// Whether stdin feeds the console; a terminal is in raw mode meanwhile.
    pub input: bool,
}

/// A domain after its end.
#[derive(Debug)]
pub struct Outcome {
    /// Its state and counters.
    pub domain: Domain,
    /// Why it ended.
    pub ending: Ending,
}

impl Host {
    /// Opens and probes.
    ///
    /// # Errors
    /// What is missing, with advice.
    pub fn open() -> Result<Host, HostError> {
        let kvm = open::open()?;
        let probe = probe::probe(&kvm)?;
        Ok(Host { kvm, probe })
    }

    /// The device, for the probe's costs.
    #[must_use]
    pub fn kvm(&self) -> &Kvm {
        &self.kvm
    }

    /// Builds a domain for `program` on this host.
    ///
    /// # Errors
    /// What does not fit, or what KVM refused.
    pub fn build(
        &self,
        program: &Program<'_>,
        config: &DomainConfig,
    ) -> Result<Machine, StartError> {
        // One frame more: the shared-info page.
        let guest_frames = HostLayout::total_frames(0, config.mem_mib);
        let layout = HvLayout::new(guest_frames, config.cpus as u64);
        let host = HostLayout {
            hv_frames: layout.frames(),
            hv_l4_entry: install::l4_entry(&layout).0,
            m2p: layout.m2p().maddr(),
            m2p_vaddr: HvLayout::m2p_va(),
            tsc_khz: self.probe.tsc_khz,
            // Where SYSCALL is not the architecture's, its 32-bit form is not either.
            syscall32: self.probe.entry() == Entry::Cpl0,
        };
        let (mut domain, _) = crate::domain::build(program, config, &host)?;
        if self.probe.shared_tsc {
            domain.set_clock(Clock::counting(host.tsc_khz, tsc::read));
        }
        domain.cpuid = cpuid::table(&self.kvm, host.tsc_khz, self.probe.native_cpuid)?;
        let shown = self.probe.coherence() == Coherence::GuestStores;
        domain.mm.show_stores(shown.then_some(SHOWN_STORE));
        let native = cpuid::for_kvm(&domain.cpuid)?;
        let memory: Memory = domain.memory.clone();
        let vm = Vm::new(&self.kvm, memory, layout, self.probe.entry(), native)?;
        Ok(Machine {
            vm,
            domain,
            probe: self.probe,
        })
    }
}

/// Why a domain could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The guest does not fit what was asked for.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The host cannot run it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The loop beside the vCPUs could not be set up.
    #[error("cannot set up the event loop")]
    Loop(#[from] io::Error),
    /// The guest's threads could not be confined.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// A domain in its virtual machine, about to run.
#[derive(Debug)]
pub struct Machine {
    vm: Vm,
    domain: Domain,
    probe: Probe,
}

impl Machine {
    /// Has the operations of the guest's programs measured.
    #[must_use]
    pub fn measured_by(mut self, attribution: Attribution) -> Machine {
        self.domain.attribution = attribution;
        self
    }

    /// The domain, as it was built.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Runs the domain to its end.
    ///
    /// # Errors
    /// If a vCPU or the event loop cannot be set up.
    pub fn run(self, options: Options<'_>) -> Result<Outcome, StartError> {
        kick::install_handler()?;
        // Before the threads: they inherit the blocked signals.
        let signals = Signals::new()?;
        let shared = Arc::new(Shared::new(
            self.domain,
            Sink::new(options.output, options.output_fd),
        )?);
        // Without a stdin the guest has no input.
        let input = options.input.then(Input::of_stdin).and_then(Result::ok);
        let terminal = input.as_ref().and_then(Input::terminal).transpose()?;
        // Behind the signals: from here on none ends the process with the terminal as it is.
        let raw = terminal.map(Raw::enter).transpose()?;
        let outside = Outside {
            time_limit: options.time_limit,
            input,
        };
        let events = watch::Loop::new(&shared, &signals, outside)?;
        threads(&shared, &self.vm, self.probe.coherence(), events)?;
        drop(raw);
        let shared = Arc::into_inner(shared)
            .ok_or_else(|| io::Error::other("a thread outlived the domain"))?;
        let (domain, ending) = shared.into_parts();
        let ending =
            ending.unwrap_or_else(|| Ending::Crash("the vCPUs ended without a reason".into()));
        Ok(Outcome { domain, ending })
    }
}

/// Runs the vCPUs and the loop beside them to the domain's end, a confined thread each: none enters
/// the guest before all are.
fn threads(
    shared: &Shared<'_>,
    vm: &Vm,
    coherence: Coherence,
    events: watch::Loop<'_, '_>,
) -> Result<(), StartError> {
    let cpus = shared.peers.len();
    let start = Barrier::new(cpus + 1);
    let enter = |duty| {
        let entered = sandbox::enter(duty);
        start.wait();
        entered
    };
    let vcpu = |index| {
        let runner = Runner::new(shared, vm, index, coherence);
        enter(Duty::Vcpu)?;
        runner?.run();
        Ok(())
    };
    let events = || {
        enter(Duty::Events)?;
        events.serve()?;
        Ok(())
    };
    let guarded = |result: Result<(), StartError>| {
        result.inspect_err(|e| shared.end(Ending::Crash(e.to_string())))
    };
    std::thread::scope(|scope| {
        let vcpu = &vcpu;
        let vcpus: Vec<_> = (0..cpus)
            .map(|index| scope.spawn(move || guarded(vcpu(index))))
            .collect();
        let events = scope.spawn(move || guarded(events()));
        let all = vcpus.into_iter().chain([events]);
        // A thread that panicked has said so, and the domain has an ending.
        all.filter_map(|thread| thread.join().ok()).collect()
    })
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("time_limit", &self.time_limit)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
