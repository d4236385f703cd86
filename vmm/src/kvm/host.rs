//! A host that was opened and probed, and a domain's run on it from the first entry to the end.

use super::layout::HvLayout;
use super::open::{self, HostError};
use super::probe::{self, Coherence, Probe};
use super::run::Runner;
use super::shared::{Ending, Shared};
use super::vm::Vm;
use super::watch::{self, Input, Outside, Signals};
use super::{cpuid, install, kick};
use crate::domain::{BuildError, Domain, DomainConfig, HostLayout, Program};
use crate::memory::Memory;
use kvm_ioctls::{Cap, Kvm};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, PoisonError};
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
    /// Whether stdin feeds the console.
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
            tsc_khz: self.tsc_khz(),
        };
        let (mut domain, _) = crate::domain::build(program, config, &host)?;
        domain.cpuid = cpuid::table(&self.kvm, host.tsc_khz)?;
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

    fn tsc_khz(&self) -> u32 {
        if !self.kvm.check_extension(Cap::GetTscKhz) {
            return 0;
        }
        let vcpu = self.kvm.create_vm().and_then(|vm| vm.create_vcpu(0));
        vcpu.and_then(|vcpu| vcpu.get_tsc_khz()).unwrap_or(0)
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
    #[error("setting up the event loop: {0}")]
    Loop(#[from] io::Error),
}

/// A domain in its virtual machine, about to run.
#[derive(Debug)]
pub struct Machine {
    vm: Vm,
    domain: Domain,
    probe: Probe,
}

impl Machine {
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
        let shared = Arc::new(Shared::new(self.domain, options.output)?);
        let outside = Outside {
            time_limit: options.time_limit,
            input: options.input.then(stdin_to_console),
        };
        let cpus = shared.peers.len();
        let (vm, coherence) = (&self.vm, self.probe.coherence());
        let failures = std::thread::scope(|scope| -> Result<Vec<HostError>, io::Error> {
            let threads: Vec<_> = (0..cpus)
                .map(|index| {
                    let shared = &*shared;
                    scope.spawn(move || match Runner::new(shared, vm, index, coherence) {
                        Ok(runner) => {
                            runner.run();
                            None
                        }
                        Err(e) => {
                            shared.end(Ending::Crash(e.to_string()));
                            Some(e)
                        }
                    })
                })
                .collect();
            let served = watch::serve(&shared, &signals, outside);
            if let Err(e) = &served {
                shared.end(Ending::Crash(e.to_string()));
            }
            let failures = threads
                .into_iter()
                .filter_map(|t| t.join().ok().flatten())
                .collect();
            served.map(|()| failures)
        })?;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure.into());
        }
        let shared = Arc::into_inner(shared)
            .ok_or_else(|| io::Error::other("a thread outlived the domain"))?;
        let (domain, ending) = shared.into_parts();
        let ending =
            ending.unwrap_or_else(|| Ending::Crash("the vCPUs ended without a reason".into()));
        Ok(Outcome { domain, ending })
    }
}

/// Reads what is there and types it into the console.
fn stdin_to_console() -> Input<'static> {
    let take = |shared: &Shared<'_>| {
        // Unbuffered: what a buffer held back, nobody would be told of.
        let mut bytes = [0; 256];
        let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        match stdin.and_then(|mut stdin| stdin.read(&mut bytes)) {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                let mut domain = shared.lock();
                domain.type_in(&bytes[..n]);
                let kicks = domain.kicks();
                drop(domain);
                shared.kick_mask(kicks, usize::MAX);
                true
            }
        }
    };
    Input {
        fd: io::stdin().as_fd().as_raw_fd(),
        take: Box::new(take),
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("time_limit", &self.time_limit)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl Shared<'_> {
    /// Hands the console's output on, if it has somewhere to go.
    pub(super) fn drain_console(&self, domain: &mut Domain) {
        if !domain.console.has_output() {
            return;
        }
        let mut sink = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = sink.as_mut() {
            let bytes = domain.console.take_output();
            // Nobody reads any more: the guest goes on without a console.
            let _ = sink.write_all(&bytes).and_then(|()| sink.flush());
        }
    }
}
