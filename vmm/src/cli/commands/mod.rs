//! The commands: config from words, the library's run, the report in the form asked for.

mod list;

pub(super) use list::list;

use super::args::{BenchArgs, BootArgs, CompareArgs, LabArgs};
use super::names::{chosen, policies, workloads};
use super::output::{Output, replace};
use super::progress::Bar;
use super::{Exit, Failure};
use anyhow::anyhow;
use std::path::Path;
use xenlet::config::{Backend, BenchConfig, BootConfig, LabConfig};
use xenlet::progress::Progress;
use xenlet::report::compare as comparing;
use xenlet::report::{Format, LabReport, csv, json, ktap, table};

/// `xenlet lab`.
pub(super) fn lab(args: LabArgs, output: &Output, verbose: bool) -> Result<Exit, Failure> {
    let config = lab_config(args, verbose)?;
    let mut bar = Bar::new();
    let ran = xenlet::lab::run(&config, &mut bar);
    bar.finish();
    let report = ran.map_err(|e| Failure::new(e.exit(), e))?;
    output.write(&lab_text(&report, output.format))?;
    Ok(report.exit())
}

fn lab_config(args: LabArgs, verbose: bool) -> Result<LabConfig, Failure> {
    let backend = args.backend.into();
    if backend == Backend::Direct && args.kernel.is_some() {
        let e = anyhow!("--backend direct runs no kernel: leave --kernel out");
        return Err(Failure::usage(e));
    }
    let chosen = |kind, wanted: &[String], all| chosen(kind, wanted, all).map_err(Failure::usage);
    Ok(LabConfig {
        workloads: chosen("workload", &args.workloads, &workloads())?,
        policies: chosen("policy", &args.policies, &policies())?,
        ptes: args.ptes,
        batch: args.batch,
        cpus: args.cpus,
        backend,
        kernel: args.kernel,
        time_limit_s: args.time_limit,
        verbose,
    })
}

fn lab_text(report: &LabReport, format: Format) -> String {
    match format {
        Format::Table => table::lab(report),
        Format::Json => json(report),
        Format::Csv => csv::lab(report),
        Format::Ktap => ktap::lab(report),
    }
}

/// `xenlet doctor`.
pub(super) fn doctor(output: &Output) -> Result<Exit, Failure> {
    output.no_ktap("doctor")?;
    let report = xenlet::doctor::run();
    output.write(&match output.format {
        Format::Json => json(&report),
        Format::Csv => report.csv(),
        Format::Table | Format::Ktap => report.table(),
    })?;
    Ok(report.exit())
}

/// `xenlet boot`. The console has stdout, so the report is printed only where it is asked for.
pub(super) fn boot(args: BootArgs, output: &Output, verbose: bool) -> Result<Exit, Failure> {
    output.no_ktap("boot")?;
    let stats = args.stats.clone();
    if let Some(stats) = &stats {
        Output::new(Format::Json, Some(stats.clone()))?;
    }
    let config = boot_config(args, verbose);
    let report = xenlet::boot::run(&config).map_err(|e| Failure::new(e.exit(), e))?;
    if let Some(stats) = &stats {
        replace(stats, &json(&report)).map_err(Failure::usage)?;
    }
    if output.is_file() {
        output.write(&match output.format {
            Format::Json => json(&report),
            Format::Csv => report.csv(),
            Format::Table | Format::Ktap => report.table(),
        })?;
    }
    Ok(report.ended.exit())
}

fn boot_config(args: BootArgs, verbose: bool) -> BootConfig {
    BootConfig {
        kernel: args.kernel,
        initrd: args.initrd,
        cmdline: args.cmdline,
        mem_mib: args.mem_mib,
        cpus: args.cpus,
        time_limit_s: args.time_limit,
        verbose,
    }
}

/// `xenlet compare`.
pub(super) fn compare(args: &CompareArgs, output: &Output) -> Result<Exit, Failure> {
    let read = |path: &Path| comparing::read(path).map_err(Failure::usage);
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let (a_name, b_name) = (args.a.display().to_string(), args.b.display().to_string());
    let comparison =
        comparing::compare((&a_name, &a), (&b_name, &b), args.tolerance).map_err(Failure::usage)?;
    output.write(&match output.format {
        Format::Table => comparing::table(&comparison),
        Format::Json => json(&comparison),
        Format::Csv => comparing::csv(&comparison),
        Format::Ktap => comparing::ktap(&comparison),
    })?;
    Ok(comparison.exit())
}

/// `xenlet bench`.
pub(super) fn bench(args: BenchArgs, output: &Output, verbose: bool) -> Result<Exit, Failure> {
    output.no_ktap("bench")?;
    let config = BenchConfig {
        backend: args.backend.into(),
        verbose,
    };
    let mut bar = Bar::new();
    let ran = xenlet::bench::run(&config, &mut bar);
    bar.finish();
    let report = ran.map_err(|e| Failure::new(e.exit(), e))?;
    output.write(&match output.format {
        Format::Json => json(&report),
        Format::Csv => report.csv(),
        Format::Table | Format::Ktap => report.table(),
    })?;
    Ok(report.exit())
}
