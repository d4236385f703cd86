//! `xenlet boot`: a PV kernel, its console on stdin and stdout, and what it did.

use crate::config::{BootConfig, Initrd};
use crate::domain::{Domain, DomainConfig, Program};
use crate::exit::Exit;
use crate::image::{self, Image, OpenError};
use crate::images::{Cache, CacheError};
use crate::initramfs::{self, InitramfsError};
use crate::kvm::{Ending, Host as KvmHost, HostError, Options, StartError};
use crate::report::Host;
use crate::report::boot::{BootReport, Ended};
use crate::terminal::Harmless;
use hypercalls::sched::{SHUTDOWN_POWEROFF, SHUTDOWN_REBOOT};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why a guest was not booted.
#[derive(Debug, Error)]
pub enum BootError {
    /// The kernel cannot be read, or is no PV kernel.
    #[error(transparent)]
    Kernel(#[from] OpenError),
    /// The initrd cannot be read.
    #[error("cannot read initrd {}", path.display())]
    Initrd {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The initrd alone is more than there is memory.
    #[error("the initrd has {size_mib} MiB, more than the guest's {mem_mib} MiB of memory")]
    InitrdTooBig {
        /// The initrd, rounded up.
        size_mib: u64,
        /// The memory.
        mem_mib: u64,
    },
    /// There is no initramfs.
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    /// There is no place for one.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The guest cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The host cannot run it.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl BootError {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            BootError::Kernel(_) | BootError::Initrd { .. } => Exit::Usage,
            BootError::InitrdTooBig { .. } => Exit::Usage,
            BootError::Initramfs(_) | BootError::Cache(_) => Exit::Usage,
            BootError::Start(StartError::Build(_)) => Exit::Usage,
            BootError::Start(_) | BootError::Host(_) => Exit::Host,
        }
    }
}

/// Boots, and runs to the end.
///
/// # Errors
/// If the guest cannot be started; how it ended is in the report.
pub fn run(config: &BootConfig) -> Result<BootReport, BootError> {
    let image = Image::open(&config.kernel)?;
    let initrd = initrd(config)?;
    let kvm = KvmHost::open()?;
    let domain = DomainConfig {
        mem_mib: config.mem_mib,
        cpus: config.cpus as usize,
        cmdline: config.cmdline.clone(),
        initrd,
        paranoid: config.paranoid,
        poison: config.poison,
    };
    let machine = kvm.build(&Program::from(&image), &domain)?;
    drop((image, domain));
    let start = Instant::now();
    let outcome = machine.run(Options {
        time_limit: config.time_limit_s.map(Duration::from_secs),
        output: Some(console()),
        output_fd: Some(stdout().as_raw_fd()),
        input: true,
    })?;
    let (ended, detail) = ended(outcome.ending);
    let mut host = Host::here();
    host.strategies = kvm.probe.strategies();
    let mut report = BootReport::new(config, host, ended, start.elapsed().as_secs_f64());
    report.detail = detail;
    report.counters = counters(&outcome.domain);
    Ok(report)
}

/// Where the guest's console goes: to stdout as it is, or to the terminal there without what could
/// harm.
fn console() -> Box<dyn Write + Send> {
    match stdout().is_terminal() {
        true => Box::new(Harmless::new(stdout())),
        false => Box::new(stdout()),
    }
}

fn initrd(config: &BootConfig) -> Result<Option<Vec<u8>>, BootError> {
    let initrd = initrd_bytes(config)?;
    let size = initrd.as_ref().map_or(0, Vec::len) as u64;
    let (size_mib, mem_mib) = (size.div_ceil(1 << 20), config.mem_mib);
    if size_mib > mem_mib {
        return Err(BootError::InitrdTooBig { size_mib, mem_mib });
    }
    Ok(initrd)
}

fn initrd_bytes(config: &BootConfig) -> Result<Option<Vec<u8>>, BootError> {
    Ok(match &config.initrd {
        Initrd::None => None,
        Initrd::File(path) => Some(read(path)?),
        Initrd::BuiltIn => {
            let image = config.image.as_deref().unwrap_or("NAME");
            Some(initramfs::build(&Cache::of_user()?, image)?)
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, BootError> {
    image::read(path).map_err(|source| BootError::Initrd {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn ended(ending: Ending) -> (Ended, String) {
    match ending {
        Ending::Shutdown(SHUTDOWN_POWEROFF) => (Ended::Poweroff, String::new()),
        Ending::Shutdown(SHUTDOWN_REBOOT) => (
            Ended::Reboot,
            "the guest asked for a reboot; it is not started again".into(),
        ),
        Ending::Shutdown(reason) => (
            Ended::Crashed,
            format!("the guest reported a crash (shutdown reason {reason})"),
        ),
        Ending::Crash(dump) => (Ended::Crashed, dump),
        Ending::TimeLimit => (Ended::TimeLimit, "the time limit passed".into()),
        Ending::Signal(_) | Ending::Quit => (Ended::Quit, String::new()),
    }
}

fn counters(domain: &Domain) -> BTreeMap<String, BTreeMap<String, u64>> {
    let stats = &domain.stats;
    let own = |map: &BTreeMap<&'static str, u64>| {
        map.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
    };
    let mut groups: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let plain = stats
        .counters
        .rows()
        .into_iter()
        .map(|(name, n, _)| (name.to_owned(), n));
    groups.insert("counters".into(), plain.collect());
    groups.insert("hypercalls".into(), own(&stats.calls()));
    groups.insert("operations".into(), stats.operations.rows().collect());
    groups.insert("errors".into(), own(&stats.errors));
    groups.insert(
        "refusals".into(),
        domain
            .mm
            .refusals()
            .map(|(n, c)| (n.to_owned(), c))
            .collect(),
    );
    groups.insert("exits".into(), own(&stats.exits));
    let times = stats.times.iter();
    let times = times.map(|(what, time)| ((*what).to_owned(), time.as_millis() as u64));
    groups.insert("time_ms".into(), times.collect());
    let sizes = stats
        .batch_sizes
        .iter()
        .map(|(size, n)| (format!("{size:>4}"), *n));
    groups.insert("batch_sizes".into(), sizes.collect());
    let vectors = stats.vectors.iter().map(|(v, n)| (format!("{v:>3}"), *n));
    groups.insert("exceptions".into(), vectors.collect());
    groups.retain(|_, rows| !rows.is_empty());
    groups
}
