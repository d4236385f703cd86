//! `xenlet boot`.

use super::super::args::BootArgs;
use super::super::output::{Output, replace, say};
use super::super::{Exit, Failure};
use anyhow::{anyhow, bail};
use std::path::PathBuf;
use xenlet::config::{BOOT_MEM_MIB, BootConfig, Initrd};
use xenlet::images::{Cache, Recipe, find};
use xenlet::report::{Format, json};

/// Boots. The console has stdout, so the report is printed only where it is asked for.
pub(in super::super) fn boot(
    args: BootArgs,
    output: &Output,
    verbose: bool,
) -> Result<Exit, Failure> {
    output.no_ktap("boot")?;
    let stats = args.stats.clone();
    if let Some(stats) = &stats {
        Output::new(Format::Json, Some(stats.clone()))?;
    }
    let config = config(args, verbose).map_err(Failure::usage)?;
    let report = xenlet::boot::run(&config).map_err(|e| Failure::new(e.exit(), e))?;
    if !report.detail.is_empty() {
        say(report.detail.trim_end());
    }
    if let Some(stats) = &stats {
        replace(stats, &json(&report)).map_err(Failure::usage)?;
    }
    if output.is_file() {
        output.write(&match output.format {
            Format::Json => json(&report),
            Format::Csv => report.csv(),
            Format::Table | Format::Ktap | Format::Markdown => report.table(),
        })?;
    }
    Ok(report.ended.exit())
}

/// What is not said is the image's.
fn config(args: BootArgs, verbose: bool) -> anyhow::Result<BootConfig> {
    let recipe = args.image.as_deref().map(find).transpose()?;
    let image = recipe.as_ref();
    let initrd = match (args.initrd, image.is_some_and(|recipe| recipe.initramfs)) {
        (Some(path), _) => Initrd::File(path),
        (None, true) => Initrd::BuiltIn,
        (None, false) => Initrd::None,
    };
    let cmdline = args.cmdline;
    Ok(BootConfig {
        kernel: kernel(args.kernel, image)?,
        image: args.image,
        initrd,
        cmdline: cmdline.unwrap_or_else(|| image.map_or(String::new(), |r| r.cmdline.clone())),
        mem_mib: args
            .mem_mib
            .unwrap_or(image.map_or(BOOT_MEM_MIB, |r| r.mem_mib)),
        cpus: args.cpus,
        time_limit_s: args.time_limit,
        verbose,
        paranoid: args.paranoid,
        poison: args.poison,
    })
}

pub(super) fn kernel(given: Option<PathBuf>, image: Option<&Recipe>) -> anyhow::Result<PathBuf> {
    let Some(Recipe { name, .. }) = image else {
        return given.ok_or_else(|| anyhow!("give --kernel or --image"));
    };
    match Cache::of_user()?.get(name) {
        Some(fetched) => Ok(fetched.file),
        None => bail!(
            "image {name} is not here: run `xenlet images fetch {name}`, or give a kernel of your \
             own with --kernel"
        ),
    }
}
