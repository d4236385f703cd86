//! `xenlet compare`: two lab reports, or two measurements of kernels.

use super::super::args::CompareArgs;
use super::super::output::Output;
use super::super::{Exit, Failure};
use anyhow::anyhow;
use std::path::Path;
use xenlet::report::compare::{self as comparing, Input, measured};
use xenlet::report::measure::MeasureReport;
use xenlet::report::{Format, LabReport, json};

/// Compares; worse is exit code 1.
pub(in super::super) fn compare(args: &CompareArgs, output: &Output) -> Result<Exit, Failure> {
    let read = |path: &Path| comparing::read(path).map_err(Failure::usage);
    let (a_name, b_name) = (args.a.display().to_string(), args.b.display().to_string());
    match (read(&args.a)?, read(&args.b)?) {
        (Input::Lab(a), Input::Lab(b)) => lab((&a_name, &a), (&b_name, &b), args.tolerance, output),
        (Input::Measure(a), Input::Measure(b)) => {
            kernels((&a_name, &a), (&b_name, &b), args.tolerance, output)
        }
        (a, b) => {
            let (a, b) = (a.kind(), b.kind());
            Err(Failure::usage(anyhow!(
                "{a_name} is {a}, {b_name} is {b}: they have no rows in common"
            )))
        }
    }
}

fn lab(
    a: (&str, &LabReport),
    b: (&str, &LabReport),
    tolerance: f64,
    output: &Output,
) -> Result<Exit, Failure> {
    output.no_markdown("lab reports")?;
    let comparison = comparing::compare(a, b, tolerance).map_err(Failure::usage)?;
    output.write(&match output.format {
        Format::Table | Format::Markdown => comparing::table(&comparison),
        Format::Json => json(&comparison),
        Format::Csv => comparing::csv(&comparison),
        Format::Ktap => comparing::ktap(&comparison),
    })?;
    Ok(comparison.exit())
}

fn kernels(
    a: (&str, &MeasureReport),
    b: (&str, &MeasureReport),
    tolerance: f64,
    output: &Output,
) -> Result<Exit, Failure> {
    let comparison = measured::compare(a, b, tolerance).map_err(Failure::usage)?;
    output.write(&match output.format {
        Format::Table => measured::table(&comparison),
        Format::Markdown => measured::markdown(&comparison),
        Format::Json => json(&comparison),
        Format::Csv => measured::csv(&comparison),
        Format::Ktap => measured::ktap(&comparison),
    })?;
    Ok(comparison.exit())
}
