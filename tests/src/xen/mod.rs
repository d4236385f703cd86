//! Real Xen as the judge: our guest's image boots on Debian's hypervisor, under QEMU without KVM.
//!
//! In: the image and its command line. Out: what the guest wrote to the console. Xen comes from
//! its package through the images' cache, QEMU from the emulated hosts' ([`crate::hosts`]); a
//! machine that cannot have them has a [`Skip`] to print.

mod boot;
mod compare;
pub mod here;
mod line;

pub use boot::BootError;
pub use compare::{Comparison, answers};
pub use line::{Cell, Verdict, cells, verdicts};

use crate::hosts;
use crate::hosts::packages::Packages;
use flate2::read::GzDecoder;
use std::io::{self, Read};
use std::time::Duration;
use xenlet::images::{Cache, CacheError, FetchError, Fetched, Package, fetch};

/// What real Xen answered to the probes when it was last asked.
pub const RECORDED: &str = include_str!("truth.txt");

/// The file's name in the cache.
const NAME: &str = "xen-4.17";

/// Why this machine cannot boot real Xen: printed and counted, never a failure.
#[derive(Debug, thiserror::Error)]
pub enum Skip {
    /// No emulator.
    #[error(transparent)]
    Emulator(#[from] hosts::Skip),
    /// No cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No hypervisor.
    #[error("Xen's package cannot be had: {0}")]
    Fetch(#[from] FetchError),
    /// The package's file is not what it should be.
    #[error("Xen's package: {0}")]
    Unpack(#[from] io::Error),
}

/// Debian's Xen and an emulator for it.
#[derive(Debug)]
pub struct Xen {
    packages: Packages,
    hypervisor: Vec<u8>,
    /// The package's version.
    pub version: String,
}

/// How the first domain is booted.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The PV image.
    pub kernel: &'a [u8],
    /// Its command line.
    pub cmdline: &'a str,
    /// Its vCPUs.
    pub cpus: u32,
    /// The machine's memory, nearly all of which it is given.
    pub mem_mib: u32,
    /// How long all of it may take.
    pub time_limit: Duration,
}

impl Xen {
    /// Fetches what is missing from the caches; quick when nothing is.
    ///
    /// # Errors
    /// Why this machine cannot have it: a reason to skip, not a failure.
    pub fn prepare() -> Result<Xen, Skip> {
        let packages = Packages::open()?;
        let fetched = hypervisor()?;
        let mut hypervisor = Vec::new();
        GzDecoder::new(std::fs::File::open(&fetched.file)?).read_to_end(&mut hypervisor)?;
        let version = fetched.version;
        Ok(Xen {
            packages,
            hypervisor,
            version,
        })
    }

    /// Boots the image as the first domain and returns its console when the machine halts.
    ///
    /// # Errors
    /// If it does not get that far.
    pub fn boot(&self, boot: &Boot<'_>) -> Result<String, BootError> {
        boot::run(&self.packages, &self.hypervisor, boot)
    }
}

fn hypervisor() -> Result<Fetched, Skip> {
    let cache = Cache::of_user()?;
    if let Some(fetched) = cache.get(NAME) {
        return Ok(fetched);
    }
    let package = Package {
        suites: vec!["bookworm".to_owned()],
        name: r"^xen-hypervisor-4\.17-amd64$".to_owned(),
        files: vec!["boot/xen-4.17-amd64.gz".to_owned()],
    };
    Ok(fetch(&cache, NAME, &package, &mut |_| {})?)
}
