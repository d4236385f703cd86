//! Ordinary KVM on any machine: runs a command on real `kvm_amd` and `kvm_intel`, emulated.
//!
//! Owns the way from a program on this machine to its exit code on another kind of host. In: a
//! [`Kind`] of host and a [`Command`]. Out: an [`Output`], or a [`HarnessError`] that tells the
//! host's death (L1, the emulated machine's Linux) from the harness's own trouble; a command that
//! merely fails is an `Output` with its code. Everything needed comes from Debian packages, fetched
//! once into a cache and never installed (`packages`); a machine that cannot get them has a
//! [`Skip`] to print.
//!
//! `XENLET_HOSTS=short cargo test -p tests --test hosts -- --nocapture` tries the short list of
//! hosts, `all` in its place the whole matrix, `amd-npt0,intel-ept1` those named.

pub(crate) mod apt;
mod bochs;
mod boot;
pub(crate) mod cache;
mod compare;
mod console;
mod cpio;
pub(crate) mod emulator;
mod initramfs;
mod kind;
mod live;
pub(crate) mod packages;
mod qemu;
pub(crate) mod scratch;
mod sources;
mod trial;

use std::path::PathBuf;
use std::process;
use std::time::Duration;

pub use boot::HarnessError;
pub use compare::{Comparison, compare};
pub use kind::{Kind, UnknownKind};
pub use packages::Skip;
pub use trial::Trial;

use packages::Packages;

/// Where programs on an emulated host find the user's caches.
pub const CACHE: &str = "/cache";

/// What to run on the emulated host.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program on this machine; it is packed with the libraries `ldd` names.
    pub binary: PathBuf,
    /// The arguments of each of its runs, which follow each other in one boot.
    pub runs: Vec<Vec<String>>,
    /// Further files: contents, absolute path there.
    pub files: Vec<(Vec<u8>, String)>,
    /// How long the runs may take there, in this machine's time, the boot not included.
    pub time_limit: Duration,
}

/// What one run of the command did.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// Its standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// How often KVM asked the CPU for a TLB flush while it ran, where that can be counted.
    pub flushes: Option<u64>,
}

/// What the command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its runs, in order.
    pub runs: Vec<Run>,
    /// The console of the emulated host: the kernel's messages and the command's standard error.
    pub console: String,
    /// Boot, command and power-off together.
    pub wall: Duration,
}

impl Output {
    /// The last lines of the console, or those where the kernel says what happened to it.
    #[must_use]
    pub fn end(&self) -> String {
        boot::tail(&self.console)
    }
}

/// The emulators and the L1 kernel, unpacked and ready.
#[derive(Debug)]
pub struct Harness {
    packages: Packages,
}

impl Harness {
    /// Fetches what is missing from the cache; quick when nothing is.
    ///
    /// # Errors
    /// Why this machine cannot have it: a reason to skip, not a failure.
    pub fn prepare() -> Result<Self, Skip> {
        Ok(Self {
            packages: Packages::open()?,
        })
    }

    /// Boots a host of `kind`, runs `command` on it, and powers it off.
    ///
    /// # Errors
    /// See [`HarnessError`]: everything but the command's own exit code.
    pub fn run(&self, kind: Kind, command: &Command) -> Result<Output, HarnessError> {
        boot::run(&self.packages, kind, command)
    }

    /// QEMU, told where its own files are and nothing else.
    #[must_use]
    pub fn qemu(&self) -> process::Command {
        emulator::program(&self.packages)
    }

    /// A static busybox, for commands that need no program of ours.
    #[must_use]
    pub fn busybox(&self) -> PathBuf {
        self.packages.busybox()
    }
}
