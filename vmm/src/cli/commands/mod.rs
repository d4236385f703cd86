//! The commands: config from words, the library's run, the report in the form asked for.

mod boot;
mod images;
mod list;
#[cfg(feature = "mutants")]
mod mutants;

pub(super) use boot::boot;
pub(super) use images::images;
pub(super) use list::list;
#[cfg(feature = "mutants")]
pub(super) use mutants::mutants;

use super::args::{BenchArgs, CompareArgs, LabArgs};
use super::names::{chosen, policies, workloads};
use super::output::Output;
use super::progress::Bar;
use super::{Exit, Failure};
use anyhow::anyhow;
use std::path::Path;
use xenlet::config::{Backend, BenchConfig, LabConfig};
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
        #[cfg(feature = "mutants")]
        mutant: mutants::mutant(args.mutant)?,
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
