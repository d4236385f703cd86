//! Opening /dev/kvm and saying, when that fails, what a person can do about it.

use kvm_ioctls::{Cap, Kvm};
use thiserror::Error;

/// Why this host cannot run a guest. Each message ends with what to do.
#[derive(Debug, Error)]
pub enum HostError {
    /// The device is not there.
    #[error(
        "/dev/kvm does not exist: load kvm_intel or kvm_amd, enable virtualization in the firmware \
         (or nested virtualization in the outer hypervisor), or use --backend direct"
    )]
    NoDevice,
    /// The device is not ours to open.
    #[error(
        "no permission to open /dev/kvm: join the group kvm (`sudo usermod -aG kvm $USER`, then log in again), or use --backend direct"
    )]
    NoPermission,
    /// Opening failed otherwise.
    #[error("cannot open /dev/kvm: {0}; `xenlet doctor` says more, --backend direct needs no KVM")]
    Open(kvm_ioctls::Error),
    /// The module speaks another version.
    #[error("/dev/kvm speaks API version {0}, not 12: a newer host kernel is needed")]
    ApiVersion(i32),
    /// A capability this needs is missing.
    #[error(
        "this host's KVM lacks {name}: Linux {since} or newer is needed, or use --backend direct"
    )]
    MissingCap {
        /// KVM's name.
        name: &'static str,
        /// The first Linux that has it.
        since: &'static str,
    },
    /// A call failed that works on every host known.
    #[error("KVM refused to {what}: {error}")]
    Ioctl {
        /// What was being done.
        what: &'static str,
        /// KVM's error.
        error: kvm_ioctls::Error,
    },
    /// The probe found no way to run a guest.
    #[error("this host's KVM cannot run a PV guest: {0}; `xenlet doctor` shows what was probed")]
    Unsuitable(String),
    /// Memory for the probe or the guest.
    #[error(transparent)]
    Memory(#[from] crate::memory::MemoryError),
}

impl HostError {
    /// For `map_err`: names what was being done.
    pub(crate) fn ioctl(what: &'static str) -> impl Fn(kvm_ioctls::Error) -> HostError {
        move |error| HostError::Ioctl { what, error }
    }
}

/// A capability looked for.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// KVM's name.
    pub name: &'static str,
    /// Whether no guest runs without it.
    pub required: bool,
    /// What KVM says: 0 is absent.
    pub value: i32,
    /// Whether it is there.
    pub present: bool,
    /// The first Linux that has it on x86.
    pub since: &'static str,
    /// What it is for.
    pub use_: &'static str,
}

/// What is looked for: name, number, whether it is required, since which Linux, use.
const CAPABILITIES: [(&str, Cap, bool, &str, &str); 6] = [
    (
        "KVM_CAP_USER_MEMORY",
        Cap::UserMemory,
        true,
        "2.6.20",
        "guest memory is the VMM's",
    ),
    (
        "KVM_CAP_EXT_CPUID",
        Cap::ExtCpuid,
        true,
        "2.6.27",
        "what CPUID tells the guest",
    ),
    (
        "KVM_CAP_SYNC_REGS",
        Cap::SyncRegs,
        true,
        "4.17",
        "registers travel in the shared page",
    ),
    (
        "KVM_CAP_IMMEDIATE_EXIT",
        Cap::ImmediateExit,
        true,
        "4.11",
        "kicks cannot be lost",
    ),
    (
        "KVM_CAP_GET_TSC_KHZ",
        Cap::GetTscKhz,
        false,
        "2.6.39",
        "the guest's clock runs at the TSC's speed",
    ),
    (
        "KVM_CAP_XEN_HVM",
        Cap::XenHvm,
        false,
        "2.6.33",
        "not used: an exit by `out` costs no more",
    ),
];

/// Everything that is looked for, as found.
#[must_use]
pub fn capabilities(kvm: &Kvm) -> Vec<Capability> {
    let look = |&(name, cap, required, since, use_): &(_, Cap, _, _, _)| {
        let value = kvm.check_extension_int(cap);
        Capability {
            name,
            required,
            value,
            present: value > 0,
            since,
            use_,
        }
    };
    CAPABILITIES.iter().map(look).collect()
}

/// Opens /dev/kvm and checks its version.
///
/// # Errors
/// One of [`HostError`]'s, with advice.
pub fn device() -> Result<Kvm, HostError> {
    let kvm = Kvm::new().map_err(|e| match e.errno() {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => HostError::NoDevice,
        libc::EACCES | libc::EPERM => HostError::NoPermission,
        _ => HostError::Open(e),
    })?;
    match kvm.get_api_version() {
        12 => Ok(kvm),
        version => Err(HostError::ApiVersion(version)),
    }
}

/// Opens /dev/kvm and checks what every guest needs.
///
/// # Errors
/// One of [`HostError`]'s, with advice.
pub(super) fn open() -> Result<Kvm, HostError> {
    let kvm = device()?;
    match capabilities(&kvm).iter().find(|c| c.required && !c.present) {
        Some(&Capability { name, since, .. }) => Err(HostError::MissingCap { name, since }),
        None => Ok(kvm),
    }
}
