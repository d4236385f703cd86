//! The lab's pipeline: one boot of the measuring guest, or one direct run, that works through all
//! cells; then the report.

mod last_words;

use crate::config::{Backend, LabConfig};
use crate::direct::{self, DirectError};
use crate::domain::{CellReport, DomainConfig, Program};
use crate::exit::Exit;
use crate::image::{Image, OpenError};
use crate::kvm::{Ending, Host as KvmHost, HostError, Options, StartError};
use crate::lines::Lines;
use crate::progress::Progress;
use crate::report::{Host, LabReport, assemble};
use last_words::last_words;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use thiserror::Error;

/// The measuring guest, built with this program.
pub const GUEST: &[u8] = include_bytes!(env!("GUEST_KERNEL"));

/// Why there is no report.
#[derive(Debug, Error)]
pub enum LabError {
    /// `--kernel` cannot be read, or is no PV kernel.
    #[error(transparent)]
    Kernel(#[from] OpenError),
    /// The guest cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The host cannot run it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The direct backend failed.
    #[error(transparent)]
    Direct(#[from] DirectError),
    /// The time limit passed.
    #[error("the guest did not finish within {0} s; --time-limit allows more")]
    TimeLimit(u64),
    /// A signal ended the run.
    #[error("interrupted by signal {0}")]
    Signal(i32),
}

impl LabError {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            LabError::Kernel(_) => Exit::Usage,
            LabError::Start(StartError::Build(_)) => Exit::Usage,
            LabError::Start(_) | LabError::Host(_) => Exit::Host,
            LabError::Direct(_) => Exit::GuestCrashed,
            LabError::TimeLimit(_) => Exit::TimeLimit,
            LabError::Signal(_) => Exit::CheckFailed,
        }
    }
}

/// Guest memory for `ptes` entries: the kernel and its physmap, and three sets of data pages.
#[must_use]
pub fn mem_mib(ptes: u32) -> u64 {
    const BASE_MIB: u64 = 24;
    BASE_MIB + (u64::from(ptes) * 3).div_ceil(256)
}

/// Measures every cell of `config`. Cells that never report are in the report as crashed or lost;
/// the dump of a guest that crashed is a line (of several) to `progress`, with its last words if it
/// ended by itself.
///
/// # Errors
/// If no report can be made: bad kernel file, unfit host, time limit, signal.
pub fn run(
    config: &LabConfig,
    progress: &mut (dyn Progress + Send),
) -> Result<LabReport, LabError> {
    let start = Instant::now();
    let mut host = Host::here();
    progress.start(config.cells().count());
    let (cells, dump) = match config.backend {
        Backend::Direct => {
            let mut console = Lines::new(progress, heard, config.verbose);
            (
                direct::run(&config.plan(), &domain_config(config), &mut console)?,
                None,
            )
        }
        Backend::Kvm => on_kvm(config, &mut host, progress)?,
    };
    if let Some(dump) = &dump {
        progress.line(dump);
    }
    host.wall_ms = start.elapsed().as_millis() as u64;
    let crash = dump.as_deref().and_then(|d| d.lines().next());
    Ok(assemble::assemble(config, &cells, host, crash))
}

fn domain_config(config: &LabConfig) -> DomainConfig {
    DomainConfig {
        mem_mib: mem_mib(config.ptes),
        cpus: config.cpus as usize,
        cmdline: config.plan(),
        paranoid: config.paranoid,
        poison: config.poison,
        ..DomainConfig::default()
    }
}

fn on_kvm(
    config: &LabConfig,
    host: &mut Host,
    progress: &mut (dyn Progress + Send),
) -> Result<(Vec<CellReport>, Option<String>), LabError> {
    let image = image(config)?;
    let kvm = KvmHost::open()?;
    host.strategies = kvm.probe.strategies();
    let machine = kvm.build(&Program::from(&image), &domain_config(config))?;
    let mut console = Lines::new(progress, heard, config.verbose);
    let outcome = machine.run(Options {
        time_limit: Some(Duration::from_secs(config.time_limit_s)),
        output: Some(Box::new(&mut console)),
        ..Options::default()
    })?;
    let cells = outcome.domain.lab.cells;
    match outcome.ending {
        Ending::Shutdown(hypercalls::sched::SHUTDOWN_POWEROFF) => Ok((cells, None)),
        Ending::Shutdown(reason) => {
            let how = format!("the guest shut down, reason {reason}");
            Ok((cells, Some(last_words(&how, &console))))
        }
        Ending::Crash(dump) => {
            let (how, state) = dump.split_once('\n').unwrap_or((&dump, ""));
            Ok((
                cells,
                Some(format!("{}\n{state}", last_words(how, &console))),
            ))
        }
        Ending::TimeLimit => Err(LabError::TimeLimit(config.time_limit_s)),
        Ending::Signal(signal) => Err(LabError::Signal(signal)),
        // It has no input: nobody can.
        Ending::Quit => Err(LabError::Signal(libc::SIGINT)),
    }
}

fn image(config: &LabConfig) -> Result<Image, LabError> {
    let Some(path) = &config.kernel else {
        let built_in = Image::parse(GUEST.to_vec());
        return Ok(built_in.map_err(|source| OpenError::Bad {
            path: PathBuf::from("built in"),
            source,
        })?);
    };
    Ok(Image::open(path)?)
}

/// A line a cell: `lab: WORKLOAD POLICY: ...`.
fn heard(line: &str, progress: &mut dyn Progress) {
    if let Some((workload, rest)) = line.strip_prefix("lab: ").and_then(|l| l.split_once(' ')) {
        progress.cell(workload, rest.split(':').next().unwrap_or_default());
    }
}
