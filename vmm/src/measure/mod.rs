//! `xenlet measure`: an unmodified kernel, the runner as its first process, and a report of which
//! operation traps and from where.
//!
//! Comes in: a [`MeasureConfig`]. Goes out: a [`Measured`]. The runner is in the binary: nothing is
//! needed but a kernel.

use crate::attribution::Attribution;
use crate::boot::{self, BootError};
use crate::config::MeasureConfig;
use crate::domain::{DomainConfig, Program};
use crate::exit::Exit;
use crate::image::Image;
use crate::initramfs;
use crate::kvm::{Host as KvmHost, Machine, Options};
use crate::lines::Lines;
use crate::progress::Progress;
use crate::report::boot::{Ended, Guest};
use crate::report::measure::{
    Kernel, MEASURE_SCHEMA, MeasureReport, Runner, SymbolSource, operations,
};
use crate::report::{Host, Version};
use crate::symbols::{self, FileError, Orc, Symbols, Unwinder};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why there is no measurement.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The kernel cannot be booted.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The symbols given are of no use.
    #[error(transparent)]
    Symbols(#[from] FileError),
}

impl MeasureError {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            MeasureError::Boot(e) => e.exit(),
            MeasureError::Symbols(_) => Exit::Usage,
        }
    }
}

/// A kernel measured.
#[derive(Debug)]
pub struct Measured {
    /// The report.
    pub report: MeasureReport,
    /// The hypercalls on a time line, if asked for.
    pub trace: Option<String>,
}

/// What is known of the kernel before it runs.
struct Known {
    banner: String,
    symbols: Symbols,
    source: SymbolSource,
    orc: Option<Orc>,
}

/// Boots the kernel with the runner and measures its operations.
///
/// # Errors
/// If the guest cannot be started; how it ended is in the report.
pub fn run(
    config: &MeasureConfig,
    progress: &mut (dyn Progress + Send),
) -> Result<Measured, MeasureError> {
    let image = Image::open(&config.boot.kernel).map_err(BootError::from)?;
    let known = known(config, &image)?;
    let kvm = KvmHost::open().map_err(BootError::from)?;
    let machine = machine(&kvm, config, &image)?;
    drop(image);
    let unwinder = known
        .orc
        .clone()
        .filter(|_| config.sites)
        .map(Unwinder::new);
    let machine = machine.measured_by(Attribution::new(unwinder, config.trace));
    let start = Instant::now();
    let mut console = Lines::new(progress, heard, config.boot.verbose);
    let outcome = machine.run(Options {
        time_limit: config.boot.time_limit_s.map(Duration::from_secs),
        output: Some(Box::new(&mut console)),
        ..Options::default()
    });
    let outcome = outcome.map_err(BootError::from)?;
    let (ended, detail) = boot::ended(outcome.ending);
    let mut host = Host::here();
    host.strategies = kvm.probe.strategies();
    host.wall_ms = start.elapsed().as_millis() as u64;
    let mut attribution = outcome.domain.attribution;
    attribution.finish();
    let detail = detail_of(detail, ended, &attribution, &console);
    let report = report(config, &known, host, &attribution, (ended, detail));
    let trace = attribution.trace.map(|trace| trace.json());
    Ok(Measured { report, trace })
}

/// The kernel with the runner as its first process, ready to run. Nobody listens to it yet.
pub(crate) fn machine(
    kvm: &KvmHost,
    config: &MeasureConfig,
    image: &Image,
) -> Result<Machine, MeasureError> {
    let domain = DomainConfig {
        mem_mib: config.boot.mem_mib,
        cpus: config.boot.cpus as usize,
        cmdline: config.cmdline(),
        initrd: Some(initramfs::bare().finish()),
        ..DomainConfig::default()
    };
    let machine = kvm.build(&Program::from(image), &domain);
    Ok(machine.map_err(BootError::from)?)
}

fn known(config: &MeasureConfig, image: &Image) -> Result<Known, FileError> {
    let (symbols, source) = match &config.symbols {
        Some(path) => {
            let file = symbols::read(path)?;
            symbols::check(&file, image)?;
            (Some(file.functions), SymbolSource::File)
        }
        None => (symbols::kallsyms(image), SymbolSource::Kallsyms),
    };
    let source = if symbols.is_some() {
        source
    } else {
        SymbolSource::None
    };
    Ok(Known {
        banner: symbols::banner(image).unwrap_or_default(),
        symbols: symbols.unwrap_or_default(),
        source,
        orc: Orc::find(image),
    })
}

/// What is said of a guest that ended well and measured nothing.
const NO_RUNNER: &str =
    "the kernel did not run the runner, or the runner's markers did not trap; it said last:";

/// What the runner's lines begin with: `measure: OPERATION PAGES @DEPTH`, or `measure: N rows`.
const RUNNER: &str = "measure: ";

/// The runner says which operation it begins.
fn heard(line: &str, progress: &mut dyn Progress) {
    let Some(rest) = line.strip_prefix(RUNNER) else {
        return;
    };
    match rest.strip_suffix(" rows").and_then(|n| n.parse().ok()) {
        Some(rows) => progress.start(rows),
        None => {
            let (operation, size) = rest.split_once(' ').unwrap_or((rest, ""));
            progress.cell(operation, size);
        }
    }
}

/// What it died of; or why there are no rows, with the last the guest said.
fn detail_of(
    mut detail: String,
    ended: Ended,
    attribution: &Attribution,
    console: &Lines<'_>,
) -> String {
    let ran = attribution.runner.is_some();
    match ended {
        Ended::Poweroff if !ran => detail = NO_RUNNER.to_owned(),
        Ended::Reboot => detail = "the guest rebooted before the runner was done".to_owned(),
        Ended::Quit => detail = "interrupted before the runner was done".to_owned(),
        _ => {}
    }
    if !ran || matches!(ended, Ended::Crashed | Ended::Reboot) {
        let last: Vec<&str> = console.last().collect();
        detail = format!("{}\n{}", detail.trim_end(), last.join("\n"));
    }
    if attribution.refused != 0 {
        let refused = attribution.refused;
        detail = format!("{}\n{refused} markers were refused", detail.trim_end());
    }
    detail.trim().to_owned()
}

fn report(
    config: &MeasureConfig,
    known: &Known,
    host: Host,
    attribution: &Attribution,
    (ended, detail): (Ended, String),
) -> MeasureReport {
    let runner = attribution.runner.as_ref();
    let mut guest = Guest::of(&config.boot);
    guest.cmdline = config.cmdline();
    guest.initrd = Some("the runner".to_owned());
    let wall_s = host.wall_ms as f64 / 1000.0;
    MeasureReport {
        schema: MEASURE_SCHEMA.to_owned(),
        xenlet: Version::this(),
        host,
        guest,
        kernel: Kernel {
            release: symbols::release(&known.banner).to_owned(),
            banner: known.banner.clone(),
            image: config.boot.image.clone(),
            symbols: known.source,
            unwinder: match known.orc.is_some() && config.sites {
                true => "orc".to_owned(),
                false => "none".to_owned(),
            },
        },
        runner: runner.map(|runner| Runner {
            name: runner.name.clone(),
            version: runner.version,
        }),
        repeat: config.repeat,
        ended,
        detail,
        wall_s,
        boot_s: runner.map_or(wall_s, |runner| runner.at as f64 / 1e9),
        results: operations(attribution, &known.symbols),
    }
}
