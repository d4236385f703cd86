//! The kinds of host: which KVM module, its paging mode, and how many CPUs.
//!
//! In: a name such as `amd-npt0`. Out: the module, its parameter, the emulator to use.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `kvm_amd` with nested paging.
    AmdNpt1,
    /// `kvm_amd` with shadow paging.
    AmdNpt0,
    /// `kvm_amd` with nested paging, two CPUs.
    AmdNpt1Cpus2,
    /// `kvm_amd` with shadow paging, two CPUs.
    AmdNpt0Cpus2,
    /// `kvm_intel` with extended page tables.
    IntelEpt1,
    /// `kvm_intel` with shadow paging.
    IntelEpt0,
}

/// A name that no [`Kind`] has.
#[derive(Debug, thiserror::Error)]
#[error("no such kind of host: {0}")]
pub struct UnknownKind(String);

impl Kind {
    /// Every kind, cheap ones first.
    pub const ALL: [Self; 6] = [
        Self::AmdNpt1,
        Self::AmdNpt0,
        Self::AmdNpt1Cpus2,
        Self::AmdNpt0Cpus2,
        Self::IntelEpt1,
        Self::IntelEpt0,
    ];

    /// The short list: nested paging, shadow paging, where a forgotten flush shows, and Intel's, whose
    /// emulator needs minutes a run.
    pub const SHORT: [Self; 3] = [Self::AmdNpt1, Self::AmdNpt0, Self::IntelEpt1];

    /// The name in reports and in `XENLET_HOSTS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AmdNpt1 => "amd-npt1",
            Self::AmdNpt0 => "amd-npt0",
            Self::AmdNpt1Cpus2 => "amd-npt1-cpus2",
            Self::AmdNpt0Cpus2 => "amd-npt0-cpus2",
            Self::IntelEpt1 => "intel-ept1",
            Self::IntelEpt0 => "intel-ept0",
        }
    }

    /// CPUs of the emulated machine.
    #[must_use]
    pub const fn cpus(self) -> u32 {
        match self {
            Self::AmdNpt1Cpus2 | Self::AmdNpt0Cpus2 => 2,
            _ => 1,
        }
    }

    /// The CPU that QEMU emulates, for AMD's kinds: it has SMEP and SMAP, and UMIP by request.
    pub(super) const fn cpu(self) -> &'static str {
        "EPYC,+umip"
    }

    /// Whether it is an Intel machine, which only Bochs emulates with VMX.
    #[must_use]
    pub const fn is_intel(self) -> bool {
        matches!(self, Self::IntelEpt1 | Self::IntelEpt0)
    }

    /// Whether KVM uses shadow page tables there.
    #[must_use]
    pub const fn is_shadow(self) -> bool {
        matches!(self, Self::AmdNpt0 | Self::AmdNpt0Cpus2 | Self::IntelEpt0)
    }

    /// KVM's vendor module.
    pub(super) const fn module(self) -> &'static str {
        if self.is_intel() {
            "kvm-intel"
        } else {
            "kvm-amd"
        }
    }

    /// The module's parameters.
    pub(super) const fn module_params(self) -> &'static str {
        match (self.is_intel(), self.is_shadow()) {
            (false, false) => "npt=1",
            (false, true) => "npt=0",
            (true, false) => "ept=1",
            (true, true) => "ept=0",
        }
    }

    /// The kernel function by which KVM asks this CPU to flush a guest's translations.
    pub(super) const fn flush_function(self) -> &'static str {
        if self.is_intel() {
            "vmx_flush_tlb_current"
        } else {
            "svm_flush_tlb_asid"
        }
    }

    /// How often KVM calls that function for one flush that is asked of it by a new CR3 value: it loads
    /// the root anew, and flushes on behalf of the guest, for which VMX has a function of its own. The
    /// CPU does both at once, at the next entry.
    pub(super) const fn flush_calls(self) -> u64 {
        if self.is_intel() { 1 } else { 2 }
    }

    /// How long the boot may take on a busy machine: a hundred times what an idle one needs for AMD's
    /// (with a dozen jobs a CPU beside it, it has taken 120 s).
    pub(super) const fn boot_limit(self) -> Duration {
        Duration::from_secs(if self.is_intel() { 600 } else { 400 })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
        }
        assert!("amd".parse::<Kind>().is_err());
    }
}
