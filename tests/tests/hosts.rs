//! Ordinary KVM: the same results on every kind of host. Prints a line a host and last
//! `N hosts, 0 differences`. Comes in: `XENLET_HOSTS`: `all`, `none`, or names with commas; unset, a
//! short list that is given [`TIME`] and of which Intel's host runs the lab only. A name as an
//! argument narrows it further. What is not booted is printed and counted as skipped.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::binary;
use tests::hosts::{Command, Harness, HarnessError, Kind, Output, Run, Trial};
use tests::runner::Choice;

/// What the short list may take: hosts it has no time left for are skipped.
const TIME: Duration = Duration::from_secs(8 * 60);
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
        println!(
            "0 hosts, 0 differences{}: none was asked for",
            skipped(Kind::ALL.len())
        );
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
            let (hosts, differing) = try_all(&trial, &kinds);
            wrong += differing;
            println!(
                "{hosts} hosts, {wrong} differences{}",
                skipped(kinds.len() - hosts)
            );
            match wrong {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(why) => {
            kinds
                .iter()
                .for_each(|kind| println!("host {kind}: skipped, {why}"));
            println!("0 hosts, 0 differences{}", skipped(kinds.len()));
            ExitCode::SUCCESS
        }
    }
}

/// The kinds to try, and whether all there is to try on them.
fn chosen() -> (Vec<Kind>, bool) {
    let parse = |name: &str| name.parse().unwrap_or_else(|e| panic!("XENLET_HOSTS: {e}"));
    match env::var("XENLET_HOSTS").unwrap_or_default().as_str() {
        "none" => (Vec::new(), false),
        "" | "short" => (Kind::SHORT.to_vec(), false),
        "all" => (Kind::ALL.to_vec(), true),
        names => (names.split(',').map(parse).collect(), true),
    }
}

/// How many were tried, and how many of them differ.
fn try_all(trial: &Trial, kinds: &[Kind]) -> (usize, usize) {
    let started = Instant::now();
    let (mut hosts, mut wrong) = (0, 0);
    for &kind in kinds {
        if !trial.whole && started.elapsed() > TIME {
            println!("host {kind}: skipped, {} s are over", TIME.as_secs());
            continue;
        }
        hosts += 1;
        wrong += usize::from(!agrees(trial, kind));
    }
    (hosts, wrong)
}

/// The end of the last line.
fn skipped(hosts: usize) -> String {
    match hosts {
        0 => String::new(),
        n => format!(", {n} skipped"),
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
