//! Ordinary KVM: the same results on every kind of host. Prints a line a host and last
//! `N hosts, 0 differences`. Comes in: `XENLET_HOSTS`, unset for the short list, `all`, `none`, or
//! names with commas; a name as an argument narrows it further.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::binary;
use tests::hosts::{Command, Harness, HarnessError, Kind, Output, compare};
use tests::runner::Choice;

/// For any command, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(1800);
/// What Bochs has time for on the short list; an argument list of `lab`.
const FEWER: [&str; 16] = [
    "--ptes",
    "64",
    "--workload",
    "mprotect",
    "--workload",
    "fork",
    "--workload",
    "nest",
    "--workload",
    "switch",
    "--workload",
    "kernel_map_pages",
    "--policy",
    "eager",
    "--policy",
    "generic",
];

fn main() -> ExitCode {
    let (kinds, whole) = chosen();
    let choice = Choice::from_args();
    let kinds: Vec<Kind> = kinds
        .into_iter()
        .filter(|kind| choice.has(kind.name()))
        .collect();
    if choice.list {
        kinds.iter().for_each(|kind| println!("{kind}: test"));
        return ExitCode::SUCCESS;
    }
    match Harness::prepare() {
        Ok(harness) => run(
            &Bench {
                harness,
                program: binary::xenlet(),
                whole,
            },
            &kinds,
        ),
        Err(why) => {
            kinds
                .iter()
                .for_each(|kind| println!("host {kind}: skipped, {why}"));
            println!("0 hosts, 0 differences, {} skipped", kinds.len());
            ExitCode::SUCCESS
        }
    }
}

/// The kinds to try, and whether all there is to try on them.
fn chosen() -> (Vec<Kind>, bool) {
    let parse = |name: &str| name.parse().unwrap_or_else(|e| panic!("XENLET_HOSTS: {e}"));
    match env::var("XENLET_HOSTS").unwrap_or_default().as_str() {
        "" => (Kind::SHORT.to_vec(), false),
        "all" => (Kind::ALL.to_vec(), true),
        "none" => (Vec::new(), false),
        names => (names.split(',').map(parse).collect(), true),
    }
}

/// What every host is tried with.
struct Bench {
    harness: Harness,
    program: &'static Path,
    whole: bool,
}

fn run(bench: &Bench, kinds: &[Kind]) -> ExitCode {
    let mut wrong = 0;
    for &kind in kinds {
        let started = Instant::now();
        let said = bench.host(kind);
        let seconds = started.elapsed().as_secs();
        wrong += usize::from(said.is_err());
        match said {
            Ok(line) => println!("host {kind}: {line}, {seconds} s"),
            Err(what) => println!("host {kind}: DIFFERS, {what}, {seconds} s"),
        }
    }
    if kinds.contains(&Kind::AmdNpt1)
        && let Err(what) = bench.harness_itself()
    {
        wrong += 1;
        println!("harness: DIFFERS, {what}");
    }
    println!("{} hosts, {wrong} differences", kinds.len());
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Bench {
    /// Everything on one kind of host; the words of its line, or the first thing wrong.
    fn host(&self, kind: Kind) -> Result<String, String> {
        // A boot of Bochs takes about a minute: on the short list the lab alone says what was probed.
        let doctor = if kind.is_intel() && !self.whole {
            "skipped"
        } else {
            self.doctor(kind)?
        };
        let (cells, flushes) = self.lab(kind)?;
        Ok(format!(
            "lab equal ({cells} cells), doctor {doctor}, flushes {flushes}, \
             truth table skipped (not run on hosts yet), linux-6.1 skipped (not run on hosts yet)"
        ))
    }

    fn doctor(&self, kind: Kind) -> Result<&'static str, String> {
        let output = self.on(kind, self.program, &["doctor", "--format", "json"])?;
        match output.code {
            0 => Ok("ok"),
            code => Err(format!("doctor: exit code {code}: {}", stdout(&output))),
        }
    }

    /// The lab there equals the lab without KVM here, cell by cell.
    fn lab(&self, kind: Kind) -> Result<(usize, u64), String> {
        let mut args = vec!["lab", "--format", "json"];
        if kind.is_intel() && !self.whole {
            args.extend(FEWER);
        }
        let here = binary::run(
            self.program,
            &[&args[..], &["--backend", "direct"]].concat(),
        );
        let reference = report("the reference", &here.stdout)?;
        let cpus = kind.cpus().to_string();
        args.extend(["--cpus", &cpus]);
        let output = self.on(kind, self.program, &args)?;
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
            // Every emulator flushes by itself on entry, so only this says that KVM was asked.
            (None, Some(0)) => Err("KVM asked the CPU for no flush".to_owned()),
            (None, None) => Err("flushes could not be counted".to_owned()),
            (None, Some(flushes)) => Ok((compared.cells, flushes)),
        }
    }

    /// The harness tells a command that failed, one that hangs, and a host that died, apart.
    fn harness_itself(&self) -> Result<(), String> {
        let busybox = self.harness.busybox();
        let shell = |script: &str, time_limit| {
            let args = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
            let files = Vec::new();
            let command = Command {
                binary: busybox.clone(),
                args,
                files,
                time_limit,
            };
            self.harness.run(Kind::AmdNpt1, &command)
        };
        match shell("echo it\\'s here; exit 7", LIMIT) {
            Ok(Output {
                code: 7, stdout, ..
            }) if stdout == b"it's here\n" => {}
            other => return Err(format!("a failing command: {other:?}")),
        }
        match shell("while :; do :; done", Duration::from_secs(1)) {
            Err(HarnessError::CommandLimit { .. }) => {}
            other => return Err(format!("a hanging command: {other:?}")),
        }
        match shell("echo c > /proc/sysrq-trigger", LIMIT) {
            Err(HarnessError::L1Died { started: true, .. }) => Ok(()),
            other => Err(format!("a dying host: {other:?}")),
        }
    }

    fn on(&self, kind: Kind, binary: &Path, args: &[&str]) -> Result<Output, String> {
        let command = Command {
            binary: PathBuf::from(binary),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            files: Vec::new(),
            time_limit: LIMIT,
        };
        self.harness.run(kind, &command).map_err(|e| e.to_string())
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

fn report(what: &str, json: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(json).map_err(|e| format!("{what}: no report: {e}"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
