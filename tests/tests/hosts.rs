//! Ordinary KVM: the same results on every kind of host. Prints a line a host and last
//! `N hosts, 0 differences`. Comes in: `XENLET_HOSTS`: `short`, `all`, or names with
//! commas; unset or `none`, nothing is booted and all kinds are counted as skipped; a name as an argument narrows it further.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::binary;
use tests::hosts::{Command, Harness, HarnessError, Kind, Output, Run, Trial};
use tests::runner::Choice;

/// The name of the check of the harness itself.
const HARNESS: &str = "harness";

fn main() -> ExitCode {
    let (kinds, whole) = chosen();
    let choice = Choice::from_args();
    let kinds: Vec<Kind> = kinds
        .into_iter()
        .filter(|kind| choice.has(kind.name()))
        .collect();
    let itself = choice.has(HARNESS) && kinds.contains(&Kind::AmdNpt1);
    if choice.list {
        kinds.iter().for_each(|kind| println!("{kind}: test"));
        return ExitCode::SUCCESS;
    }
    if kinds.is_empty() {
        let skipped = Kind::ALL.len();
        println!("0 hosts, 0 differences, {skipped} skipped: XENLET_HOSTS=short or all boots them");
        return ExitCode::SUCCESS;
    }
    match Harness::prepare() {
        Ok(harness) => {
            let mut wrong = usize::from(itself && !sound(&harness));
            let program = binary::release();
            let trial = Trial {
                harness,
                program,
                whole,
            };
            wrong += usize::from(itself && !right_here(&trial));
            wrong += kinds.iter().filter(|&&kind| !agrees(&trial, kind)).count();
            println!("{} hosts, {wrong} differences", kinds.len());
            if wrong == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
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
        "" | "none" => (Vec::new(), false),
        "short" => (Kind::SHORT.to_vec(), false),
        "all" => (Kind::ALL.to_vec(), true),
        names => (names.split(',').map(parse).collect(), true),
    }
}

/// Prints a host's line; whether it agrees with the others.
fn agrees(trial: &Trial, kind: Kind) -> bool {
    let started = Instant::now();
    let said = trial.host(kind);
    let seconds = started.elapsed().as_secs();
    match &said {
        Ok(line) => println!("host {kind}: {line}, {seconds} s"),
        Err(what) => println!("host {kind}: DIFFERS, {seconds} s: {what}"),
    }
    said.is_ok()
}

/// Prints this machine's own line; whether nothing is stale.
fn right_here(trial: &Trial) -> bool {
    match trial.here() {
        None => println!("host here: skipped, no KVM"),
        Some(Ok(rows)) => println!("host here: {rows} rows of requests, nothing stale"),
        Some(Err(what)) => {
            println!("host here: DIFFERS: {what}");
            return false;
        }
    }
    true
}

/// Prints the harness's line; whether it tells a command that failed, one that hangs, and a host
/// that died, apart.
fn sound(harness: &Harness) -> bool {
    let long = Duration::from_secs(300);
    let failed = shell(harness, "echo it\\'s here; exit 7", long);
    let hung = shell(harness, "while :; do :; done", Duration::from_secs(1));
    let died = shell(harness, "echo c > /proc/sysrq-trigger", long);
    let told = [
        matches!(&failed, Ok(output) if said(output)),
        matches!(&hung, Err(HarnessError::CommandLimit { .. })),
        matches!(&died, Err(HarnessError::L1Died { started: true, .. })),
    ];
    match told {
        [true, true, true] => println!("{HARNESS}: tells failed, hung and dead apart"),
        _ => println!("{HARNESS}: DIFFERS: {failed:?}, {hung:?}, {died:?}"),
    }
    told == [true; 3]
}

/// Two runs of the same, apart.
fn said(output: &Output) -> bool {
    let each = |run: &Run| run.code == 7 && run.stdout == b"it's here\n";
    output.runs.len() == 2 && output.runs.iter().all(each)
}

fn shell(harness: &Harness, script: &str, time_limit: Duration) -> Result<Output, HarnessError> {
    let args = ["sh", "-c", script].map(str::to_owned).to_vec();
    let command = Command {
        binary: harness.busybox(),
        runs: vec![args; 2],
        files: Vec::new(),
        time_limit,
    };
    harness.run(Kind::AmdNpt1, &command)
}
