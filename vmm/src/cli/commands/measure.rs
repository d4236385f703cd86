//! `xenlet measure`.

use super::super::args::MeasureArgs;
use super::super::names::{chosen, operations};
use super::super::output::{Output, replace, say};
use super::super::progress::Bar;
use super::super::{Exit, Failure};
use super::boot::kernel;
use xenlet::config::{BOOT_MEM_MIB, BootConfig, Initrd, MeasureConfig};
use xenlet::images::find;
use xenlet::progress::Progress;
use xenlet::report::{Format, json};

/// Measures a kernel. Why there is no measurement goes to stderr too, whatever the format: nobody
/// looks for it in a file.
pub(in super::super) fn measure(
    args: MeasureArgs,
    output: &Output,
    verbose: bool,
) -> Result<Exit, Failure> {
    output.no_ktap("measure")?;
    let trace = args.trace.clone();
    if let Some(trace) = &trace {
        Output::new(Format::Json, Some(trace.clone()))?;
    }
    let config = config(args, verbose).map_err(Failure::usage)?;
    let mut bar = Bar::new();
    let ran = xenlet::measure::run(&config, &mut bar);
    bar.finish();
    let measured = ran.map_err(|e| Failure::new(e.exit(), e))?;
    if let (Some(file), Some(text)) = (&trace, &measured.trace) {
        replace(file, text).map_err(Failure::usage)?;
    }
    let report = &measured.report;
    if report.exit() != Exit::Done {
        say(report.detail.trim_end());
    }
    output.write(&match output.format {
        Format::Json => json(report),
        Format::Csv => report.csv(),
        Format::Table | Format::Ktap | Format::Markdown => report.table(),
    })?;
    Ok(report.exit())
}

/// What is not said is the image's. The initrd is the runner's.
fn config(args: MeasureArgs, verbose: bool) -> anyhow::Result<MeasureConfig> {
    let operations = match args.operations.as_slice() {
        // The runner's own list, which need not be in the kernel's command line.
        [] => Vec::new(),
        wanted => chosen("operation", wanted, &operations())?,
    };
    let recipe = args.image.as_deref().map(find).transpose()?;
    let image = recipe.as_ref();
    let cmdline = image.map_or("console=hvc0".to_owned(), |r| r.cmdline.clone());
    Ok(MeasureConfig {
        boot: BootConfig {
            kernel: kernel(args.kernel, image)?,
            image: args.image,
            initrd: Initrd::None,
            cmdline: args.cmdline.unwrap_or(cmdline),
            mem_mib: args
                .mem_mib
                .unwrap_or(image.map_or(BOOT_MEM_MIB, |r| r.mem_mib)),
            cpus: args.cpus,
            time_limit_s: Some(args.time_limit),
            paranoid: false,
            poison: false,
            verbose,
        },
        operations,
        depths: args.depths,
        repeat: args.repeat,
        symbols: args.symbols,
        trace: args.trace.is_some(),
        sites: !args.no_sites,
    })
}
