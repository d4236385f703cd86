//! Finding out, by trying, how this host's KVM behaves: where SYSCALL arrives and whether a
//! page-table entry that the VMM writes is noticed. Never by module name.
//!
//! The probe's guest (`trial`) is a few instructions long.
//!
//! What follows from it where SYSCALL arrives at CPL0 and paging is nested, the ordinary host:
//!
//! * Entry: `out; sysretq`. A hypercall and its return move general registers through the shared
//!   page and nothing else. System registers are written where the guest's segments, CR0.TS or tables
//!   changed, after an exception, or for a flush.
//! * Flush: a new CR3 value, which KVM passes on to the CPU. A `mov %cr3` in a stub would do without
//!   KVM, but then nothing outside the guest could tell a forgotten flush from one that was made: on
//!   emulated hosts the tests count what KVM asks of the CPU. Changing CR0.TS flushes too, unasked:
//!   KVM takes any change of CR0 for a change of paging.
//! * Not `KVM_EXIT_XEN`, though most of these hosts offer it. A PV guest makes hypercalls by SYSCALL,
//!   so its stub would hold VMCALL in the place of `out`: as many instructions, exits and returns.
//!   On `kvm_amd` with npt=1 under an emulator, an exit by VMMCALL took 1.14 to 1.33 times as long as
//!   one by `out` (six rounds of 2000, general registers written back, Linux 6.12): KVM has to
//!   fetch the arguments, look for calls of its own, and compare rip on the way back.

mod trial;

pub(super) use trial::Trial;

use super::install::Entry;
use super::open::HostError;
use kvm_ioctls::Kvm;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a changed page-table entry is made known to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coherence {
    /// The VMM's own store is enough once the TLB is flushed: nested paging.
    Direct,
    /// The guest's CPL0 must repeat the store: shadow paging.
    GuestStores,
}

/// What the probe saw and therefore chose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Probe {
    /// The privilege level SYSCALL arrives at.
    pub syscall_cpl: u8,
    /// The TSC's frequency; 0 where KVM does not tell.
    pub tsc_khz: u32,
    /// Whether an entry the VMM rewrote was seen after a flush.
    pub vmm_store_seen: bool,
    /// Whether an entry the guest's CPL0 rewrote was seen after a flush; not tried where the
    /// VMM's own is seen.
    pub guest_store_seen: Option<bool>,
    /// Whether the CPU answers user mode's `cpuid` by itself, whatever table KVM was given.
    pub native_cpuid: bool,
    /// Whether vCPUs count time with the host's own TSC.
    pub shared_tsc: bool,
    /// Whether the CPU runs 32-bit code of user mode; KVM's emulator, where it does not, knows no
    /// x87 and little SSE: such an instruction raises #UD.
    pub native_compat: bool,
    /// The components of extended state that guests may use; 0 without XSAVE.
    pub xcr0: u64,
}

/// What leaving the guest costs here.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Costs {
    /// Median time from the guest's SYSCALL to its next instruction and back, ns.
    pub round_trip_ns: u64,
    /// Median time the store stub takes for one entry, ns.
    pub store_stub_ns: u64,
}

impl Probe {
    /// How to enter.
    #[must_use]
    pub(super) fn entry(&self) -> Entry {
        if self.syscall_cpl == 3 {
            Entry::Cpl3
        } else {
            Entry::Cpl0
        }
    }
    /// The strategies, for reports: what → which.
    #[must_use]
    pub fn strategies(&self) -> BTreeMap<String, String> {
        let entry = format!("cpl{}", self.syscall_cpl);
        let coherence = match self.coherence() {
            Coherence::Direct => "direct",
            Coherence::GuestStores => "guest-stores",
        };
        BTreeMap::from([
            ("entry".into(), entry),
            ("coherence".into(), coherence.into()),
            ("cpuid".into(), self.cpuid().into()),
            ("code32".into(), self.code32().into()),
        ])
    }
    /// Who runs 32-bit code of user mode.
    #[must_use]
    pub fn code32(&self) -> &'static str {
        if self.native_compat {
            "cpu"
        } else {
            "emulator"
        }
    }
    /// Who answers user mode's `cpuid`.
    #[must_use]
    pub fn cpuid(&self) -> &'static str {
        if self.native_cpuid { "cpu" } else { "table" }
    }
    /// How to make page-table writes known.
    #[must_use]
    pub fn coherence(&self) -> Coherence {
        if self.vmm_store_seen {
            Coherence::Direct
        } else {
            Coherence::GuestStores
        }
    }
}

/// Runs the probe: one short-lived virtual machine, a handful of exits.
///
/// # Errors
/// If KVM refuses something, or neither way of changing an entry works.
pub(super) fn probe(kvm: &Kvm) -> Result<Probe, HostError> {
    Ok(Trial::run(kvm)?.0)
}

/// The probe with its costs: some hundred exits.
///
/// # Errors
/// As [`probe`].
pub fn probe_costs(kvm: &Kvm) -> Result<(Probe, Costs), HostError> {
    let (probe, mut trial) = Trial::run(kvm)?;
    let round_trip_ns = trial.round_trip()?;
    let store_stub_ns = trial.store_stub()?;
    Ok((
        probe,
        Costs {
            round_trip_ns,
            store_stub_ns,
        },
    ))
}
