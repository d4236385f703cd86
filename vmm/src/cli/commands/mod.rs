//! The commands: config from words, the library's run, the report in the form asked for.

mod boot;
mod compare;
mod images;
mod list;
mod measure;
#[cfg(feature = "mutants")]
mod mutants;
mod report;

pub(super) use boot::boot;
pub(super) use compare::compare;
pub(super) use images::images;
pub(super) use list::list;
pub(super) use measure::measure;
#[cfg(feature = "mutants")]
pub(super) use mutants::mutants;
pub(super) use report::report;

use super::args::{BenchArgs, LabArgs};
use super::names::{chosen, policies, workloads};
use super::output::Output;
use super::progress::Bar;
use super::{Exit, Failure};
use anyhow::anyhow;
use xenlet::config::{Backend, BenchConfig, LabConfig};
use xenlet::progress::Progress;
use xenlet::report::{Format, LabReport, csv, json, ktap, table};

/// `xenlet lab`.
pub(super) fn lab(args: LabArgs, output: &Output, verbose: bool) -> Result<Exit, Failure> {
    output.no_markdown("lab")?;
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
        paranoid: args.paranoid,
        poison: args.poison,
        #[cfg(feature = "mutants")]
        mutant: mutants::mutant(args.mutant)?,
    })
}

fn lab_text(report: &LabReport, format: Format) -> String {
    match format {
        Format::Table | Format::Markdown => table::lab(report),
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
        Format::Table | Format::Ktap | Format::Markdown => report.table(),
    })?;
    Ok(report.exit())
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
        Format::Table | Format::Ktap | Format::Markdown => report.table(),
    })?;
    Ok(report.exit())
}
