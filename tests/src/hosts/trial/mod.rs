//! What every kind of host is tried with: doctor, the lab, the truth table, which requests flush,
//! Linux.
//!
//! In: a kind of host, and whether there is time for everything. Out: the words of its line, or
//! the first thing that is not as elsewhere.

mod faults;
mod flushes;
mod guest;
mod truth;

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use xenlet::kvm::Fault;
use xenlet::lab::GUEST;

use super::{CACHE, Command, Harness, Kind, Output, Run, compare};
use crate::guests::fetched;
use crate::scratch::Scratch;
use crate::{binary, runs};
use flushes::{ROWS, Row};
use guest::TURNS;

/// For any command, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(2400);
/// The Linux that is booted, and the userland of its initramfs.
const IMAGES: [&str; 2] = ["debian-6.1", "busybox"];
/// The part that every host has time for.
const LAB_PART: &str = "lab";
/// What the initramfs says once it runs.
const MARKER: &str = "xenlet: user mode";
const LAB: &str = "lab --format json --time-limit 2000 --cpus";
const TRUTH: &str = "boot --kernel /guest --mem-mib 32 --time-limit 1000 --cmdline probe=all";
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

/// A row, and the fault it is to notice.
type Pair<'a> = (&'a Row, Option<Fault>);
/// Files for a host: contents, path there.
type Files = Vec<(Vec<u8>, String)>;

impl Trial {
    /// Everything on one kind of host.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn host(&self, kind: Kind) -> Result<String, String> {
        // Bochs takes minutes: on the short list the lab says enough.
        let hurry = kind.is_intel() && !self.whole;
        let part = |name: &str, part: &dyn Fn() -> Result<String, String>| {
            let started = Instant::now();
            let said = match hurry && name != LAB_PART {
                true => Ok("skipped (for want of time)".to_owned()),
                false => part(),
            };
            let seconds = started.elapsed().as_secs();
            let outcome = said.as_ref().map_or("DIFFERS", String::as_str);
            eprintln!("host {kind}: {name} {outcome}, {seconds} s");
            Ok::<_, String>(format!("{name} {}", said?))
        };
        let parts = [
            part(LAB_PART, &|| self.lab(kind))?,
            part("truth table", &|| self.truth(kind))?,
            part("flushes", &|| self.flushes(kind))?,
            part("mutants", &|| self.mutants(kind))?,
            part("linux-6.1", &|| self.linux(kind))?,
        ];
        Ok(parts.join(", "))
    }

    /// The lab there equals the lab without KVM here, cell by cell; and doctor finds nothing
    /// missing.
    fn lab(&self, kind: Kind) -> Result<String, String> {
        let here = ["lab", "--format", "json", "--backend", "direct"];
        let here = binary::run(self.program, &here);
        let reference = report("the reference", &here.stdout)?;
        let lab = format!("{LAB} {}", kind.cpus());
        let output = self.on(
            self.program,
            kind,
            &["doctor --format csv", &lab],
            Vec::new(),
        )?;
        let [doctor, lab] = exactly(&output, ["doctor", "lab"])?;
        advice(kind, &String::from_utf8_lossy(&doctor.stdout))?;
        let found = report("lab", &lab.stdout)?;
        strategies(kind, &found)?;
        let compared = compare(&reference, &found);
        match compared.differences.first() {
            None => Ok(format!("equal ({} cells)", compared.cells)),
            Some(first) => {
                let cells = compared.differences.len();
                Err(format!("{cells} cells differ: {first}"))
            }
        }
    }

    /// Every probe there is answered as on real Xen.
    fn truth(&self, kind: Kind) -> Result<String, String> {
        let guest = (GUEST.to_vec(), "/guest".to_owned());
        let output = self.on(self.program, kind, &[TRUTH], vec![guest])?;
        let [run] = exactly(&output, ["truth table"])?;
        truth::judge(&run.stdout)
    }

    /// Every request has KVM flush as often as it must; and nobody sees what is stale.
    fn flushes(&self, kind: Kind) -> Result<String, String> {
        let rows: Vec<&Row> = ROWS.iter().filter(|row| row.cpus <= kind.cpus()).collect();
        let boots: Vec<Pair<'_>> = rows.iter().map(|&row| (row, None)).collect();
        let output = self.pairs(self.program, kind, &boots)?;
        let judged = rows.iter().zip(output.runs.chunks(2));
        let judged = judged.map(|(row, runs)| row.judge(kind, runs));
        let (right, wrong): (Vec<_>, Vec<_>) = judged.partition(Result::is_ok);
        if let Some(Err(_)) = wrong.first() {
            let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
            return Err(format!("{}\n{}", wrong.join("; "), output.end()));
        }
        let total: u64 = right.into_iter().flatten().sum();
        Ok(format!("{total} in {} rows", rows.len()))
    }

    /// The same guests on this machine's own KVM, which counts nothing; `None` if it has none.
    ///
    /// # Errors
    /// The first that does not end well.
    pub fn here(&self) -> Option<Result<usize, String>> {
        runs::kvm().ok()?;
        let judge = |row: &Row| {
            let scratch = Scratch::new();
            let kernel = scratch.file("row", &row.guest(1 + TURNS));
            let boot = boot(&kernel, row, None);
            let ran = binary::run(self.program, &words(&boot));
            match ran.status.success() {
                true => Ok(()),
                false => Err(format!(
                    "{}: {}",
                    row.name,
                    String::from_utf8_lossy(&ran.stderr)
                )),
            }
        };
        Some(ROWS.iter().try_for_each(judge).map(|()| ROWS.len()))
    }

    /// Every deliberate fault is noticed; here the build does not matter, and a debug one is there.
    fn mutants(&self, kind: Kind) -> Result<String, String> {
        let mutants = faults::mutants(kind);
        let boots: Vec<Pair<'_>> = mutants.iter().map(|m| (m.row, Some(m.fault))).collect();
        let output = self.pairs(binary::with_mutants(), kind, &boots)?;
        let runs = output.runs.chunks(2);
        let survives = |(mutant, runs): &(&faults::Mutant, &[Run])| match runs {
            [one, all] => mutant.caught(kind, one, all).is_none(),
            _ => true,
        };
        match mutants.iter().zip(runs).find(survives) {
            None => Ok(format!("{0}/{0}", mutants.len())),
            Some((mutant, runs)) => {
                let name = mutant.fault.name();
                let seen: Vec<_> = runs.iter().map(|run| (run.code, run.flushes)).collect();
                Err(format!(
                    "mutant {name} survives: {seen:?}\n{}",
                    output.end()
                ))
            }
        }
    }

    /// Runs each row's guest twice: with one turn, and with many more.
    fn pairs(&self, program: &Path, kind: Kind, pairs: &[Pair<'_>]) -> Result<Output, String> {
        let guests = pairs
            .iter()
            .flat_map(|(row, _)| [row.guest(1), row.guest(1 + TURNS)]);
        let path = |(n, kernel)| (kernel, format!("/row-{n}"));
        let files: Files = guests.enumerate().map(path).collect();
        let boot = |n: usize| boot(&format!("/row-{n}"), pairs[n / 2].0, pairs[n / 2].1);
        let boots: Vec<String> = (0..files.len()).map(boot).collect();
        let boots: Vec<&str> = boots.iter().map(String::as_str).collect();
        self.on(program, kind, &boots, files)
    }

    /// Linux runs a command in user mode there and powers off.
    fn linux(&self, kind: Kind) -> Result<String, String> {
        if let Err(why) = fetched(IMAGES[0]) {
            return Ok(format!("skipped ({})", why.0));
        }
        let Some(files) = IMAGES.map(image).into_iter().collect::<Option<Vec<_>>>() else {
            return Err(format!("{IMAGES:?} were fetched and are not there"));
        };
        let args: Vec<&str> = BOOT.split_whitespace().chain([CMDLINE]).collect();
        let output = self.run(self.program, kind, vec![owned(&args)], files.concat())?;
        let [run] = exactly(&output, ["linux-6.1"])?;
        let said = String::from_utf8_lossy(&run.stdout);
        match said.contains(MARKER) {
            true => Ok(format!("ok ({} s)", output.wall.as_secs())),
            false => Err(format!("linux-6.1: {said}{}", output.end())),
        }
    }

    /// Makes the runs, the words of each with blanks between them.
    fn on(
        &self,
        program: &Path,
        kind: Kind,
        runs: &[&str],
        files: Files,
    ) -> Result<Output, String> {
        let words = |run: &&str| owned(&words(run));
        self.run(program, kind, runs.iter().map(words).collect(), files)
    }

    fn run(
        &self,
        program: &Path,
        kind: Kind,
        runs: Vec<Vec<String>>,
        files: Files,
    ) -> Result<Output, String> {
        let command = Command {
            binary: program.to_owned(),
            runs,
            files,
            time_limit: LIMIT,
        };
        let ran = self.harness.run(kind, &command);
        ran.map_err(|e| e.to_string())
    }
}

/// Boots a row's guest.
fn boot(kernel: &str, row: &Row, fault: Option<Fault>) -> String {
    let fault = fault.map_or(String::new(), |f| format!("--host-fault {}", f.name()));
    let cpus = row.cpus;
    format!("boot --kernel {kernel} --mem-mib 8 --time-limit 300 --cpus {cpus} {fault}")
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The runs, if there are as many and all of them ended well.
fn exactly<'o, const N: usize>(
    output: &'o Output,
    names: [&str; N],
) -> Result<&'o [Run; N], String> {
    for (name, run) in names.iter().zip(&output.runs) {
        if run.code != 0 {
            let (code, said) = (run.code, String::from_utf8_lossy(&run.stdout));
            let console = output.end();
            return Err(format!("{name}: exit code {code}\n{said}{console}"));
        }
    }
    let runs = output.runs.as_slice().try_into();
    runs.map_err(|_| format!("{names:?}: {} runs", output.runs.len()))
}

/// What doctor must say of nested paging there: that it is on, or how to turn it on.
fn advice(kind: Kind, doctor: &str) -> Result<(), String> {
    let line = doctor.lines().find(|l| l.starts_with("nested paging,"));
    let line = line.unwrap_or("nothing of nested paging");
    let wanted = match kind.is_shadow() {
        true => kind.module_params().replace('0', "1"),
        false => "nested paging,ok".to_owned(),
    };
    match line.contains(&wanted) {
        true => Ok(()),
        false => Err(format!("doctor says: {line}, not {wanted}")),
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
fn image(name: &str) -> Option<Files> {
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
        let file_name = file.file_name()?.to_str()?;
        let there = format!("{CACHE}/xenlet/images/{name}/{file_name}");
        Some((std::fs::read(file).ok()?, there))
    };
    Some(entries.filter_map(|entry| there(&entry.path())).collect())
}

fn report(what: &str, json: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(json).map_err(|e| format!("{what}: no report: {e}"))
}
