//! What every kind of host is tried with: doctor, the lab, Linux.
//!
//! In: a kind of host, and whether there is time for everything. Out: the words of its line, or
//! the first thing that is not as elsewhere.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{CACHE, Command, Harness, Kind, Output, compare};
use crate::binary;

/// For any command, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(1800);
/// What Bochs has time for on the short list.
const FEWER: &str = "--ptes 64 --workload mprotect --workload fork --workload nest \
                     --workload switch --workload kernel_map_pages --policy eager --policy generic";
/// The Linux that is booted, and the userland of its initramfs.
const IMAGES: [&str; 2] = ["debian-6.1", "busybox"];
/// What the initramfs says once it runs.
const MARKER: &str = "xenlet: user mode";
const BOOT: &str = "boot --image debian-6.1 --mem-mib 192 --time-limit 1500 --cmdline";
const CMDLINE: &str = "console=hvc0 quiet xenlet.run=true";

/// The program under test, and a way to run it elsewhere.
#[derive(Debug)]
pub struct Trial {
    /// Where it is run.
    pub harness: Harness,
    /// The program.
    pub program: &'static Path,
    /// Whether all of it is run on Bochs too.
    pub whole: bool,
}

impl Trial {
    /// Everything on one kind of host.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn host(&self, kind: Kind) -> Result<String, String> {
        // A boot of Bochs takes a minute: on the short list the lab alone says what was probed.
        let hurry = kind.is_intel() && !self.whole;
        let skipped = || Ok("skipped (for want of time)".to_owned());
        let doctor = if hurry { skipped() } else { self.doctor(kind) }?;
        let (cells, flushes) = self.lab(kind, hurry)?;
        let linux = if hurry { skipped() } else { self.linux(kind) }?;
        Ok(format!(
            "lab equal ({cells} cells), doctor {doctor}, \
             truth table skipped (there is none to run on a host), \
             flushes {flushes}, linux-6.1 {linux}"
        ))
    }

    fn doctor(&self, kind: Kind) -> Result<String, String> {
        let output = self.on(kind, &["doctor", "--format", "json"], Vec::new())?;
        match output.code {
            0 => Ok("ok".to_owned()),
            code => Err(format!("doctor: exit code {code}: {}", stdout(&output))),
        }
    }

    /// The lab there equals the lab without KVM here, cell by cell.
    fn lab(&self, kind: Kind, hurry: bool) -> Result<(usize, u64), String> {
        let mut args = vec!["lab", "--format", "json"];
        if hurry {
            args.extend(FEWER.split_whitespace());
        }
        let here = binary::run(
            self.program,
            &[&args[..], &["--backend", "direct"]].concat(),
        );
        let reference = report("the reference", &here.stdout)?;
        let cpus = kind.cpus().to_string();
        args.extend(["--cpus", &cpus]);
        let output = self.on(kind, &args, Vec::new())?;
        if output.code != 0 {
            return Err(format!(
                "lab: exit code {}\n{}",
                output.code, output.console
            ));
        }
        let found = report("lab", &output.stdout)?;
        strategies(kind, &found)?;
        let compared = compare(&reference, &found);
        match (compared.differences.first(), output.flushes) {
            (Some(first), _) => Err(format!(
                "{} cells differ: {first}",
                compared.differences.len()
            )),
            // Every emulator flushes by itself on entry: only this says that KVM was asked.
            (None, Some(0)) => Err("KVM asked the CPU for no flush".to_owned()),
            (None, None) => Err("flushes could not be counted".to_owned()),
            (None, Some(flushes)) => Ok((compared.cells, flushes)),
        }
    }

    /// Linux runs a command in user mode there and powers off.
    fn linux(&self, kind: Kind) -> Result<String, String> {
        let Some(files) = IMAGES.map(image).into_iter().collect::<Option<Vec<_>>>() else {
            return Ok("skipped (`xenlet images fetch debian-6.1` has not been run)".to_owned());
        };
        let args: Vec<&str> = BOOT.split_whitespace().chain([CMDLINE]).collect();
        let output = self.on(kind, &args, files.concat())?;
        let said = stdout(&output);
        match output.code {
            0 if said.contains(MARKER) => Ok(format!("ok ({} s)", output.wall.as_secs())),
            code => Err(format!(
                "linux-6.1: exit code {code}\n{said}{}",
                output.console
            )),
        }
    }

    fn on(
        &self,
        kind: Kind,
        args: &[&str],
        files: Vec<(PathBuf, String)>,
    ) -> Result<Output, String> {
        let command = Command {
            binary: PathBuf::from(self.program),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            files,
            time_limit: LIMIT,
        };
        let ran = self.harness.run(kind, &command);
        ran.map_err(|e| format!("{}: {e}", args.first().unwrap_or(&"")))
    }
}

/// The strategies that the probe must have chosen there.
fn strategies(kind: Kind, report: &Value) -> Result<(), String> {
    let chosen = &report["host"]["strategies"];
    let coherence = if kind.is_shadow() {
        "guest-stores"
    } else {
        "direct"
    };
    if chosen["coherence"] == coherence && chosen["entry"] == "cpl0" {
        return Ok(());
    }
    Err(format!("strategies {chosen}, not {coherence} and cpl0"))
}

/// A fetched image's files, here and in the cache of a host.
fn image(name: &str) -> Option<Vec<(PathBuf, String)>> {
    let caches = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    let entries = caches
        .join("xenlet/images")
        .join(name)
        .read_dir()
        .ok()?
        .flatten();
    let there = |file: &Path| {
        let file = file.file_name()?.to_str()?;
        Some(format!("{CACHE}/xenlet/images/{name}/{file}"))
    };
    let files = entries.filter_map(|entry| Some((entry.path(), there(&entry.path())?)));
    Some(files.collect())
}

fn report(what: &str, json: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(json).map_err(|e| format!("{what}: no report: {e}"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
