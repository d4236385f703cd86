//! Runs checks one after the other and says of each: ok, FAILED, or skipped and why. One that hangs
//! is named, and ends the process. Understands as much of libtest's command line as cargo and
//! people use. Comes in: checks; goes out: lines on stdout and the exit code.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Why a check did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip(pub String);

/// What a check returns; it panics if it fails.
pub type Checked = Result<(), Skip>;

/// A check that takes longer hangs: many times what the slowest takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A named check.
pub struct Check {
    name: String,
    within: Duration,
    run: Box<dyn FnOnce() -> Checked>,
}

impl Check {
    /// A check that can be skipped.
    pub fn new(name: impl Into<String>, run: impl FnOnce() -> Checked + 'static) -> Check {
        Check {
            name: name.into(),
            within: PATIENCE,
            run: Box::new(run),
        }
    }

    /// Gives it as long as this.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Check {
        self.within = time;
        self
    }
}

/// What the command line chooses.
#[derive(Debug, Default)]
pub struct Choice {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    /// Names are to be listed, nothing is to run.
    pub list: bool,
    ignored: bool,
}

impl Choice {
    /// From the process's arguments. Those that only concern output or threads change nothing.
    pub fn from_args() -> Choice {
        Choice::parse(std::env::args().skip(1))
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Choice {
        let mut choice = Choice::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => choice.list = true,
                "--exact" => choice.exact = true,
                "--ignored" => choice.ignored = true,
                "--skip" => choice.skips.extend(args.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    args.next();
                }
                flag if flag.starts_with('-') => {}
                _ => choice.filters.push(arg),
            }
        }
        choice
    }

    /// Whether `name` is chosen.
    pub fn has(&self, name: &str) -> bool {
        let hit = |f: &String| {
            if self.exact {
                f == name
            } else {
                name.contains(f.as_str())
            }
        };
        let wanted = self.filters.is_empty() || self.filters.iter().any(hit);
        wanted && !self.ignored && !self.skips.iter().any(hit)
    }
}

/// How many of each kind.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: BTreeMap<String, usize>,
}

/// What libtest exits with, and where a check hung.
const FAILED: u8 = 101;
const HUNG: i32 = 102;

/// Runs the chosen of `checks`.
pub fn main(checks: Vec<Check>) -> ExitCode {
    let choice = Choice::from_args();
    let mut tally = Tally::default();
    let all = checks.len();
    let chosen: Vec<Check> = checks.into_iter().filter(|c| choice.has(&c.name)).collect();
    if choice.list {
        chosen.iter().for_each(|c| println!("{}: test", c.name));
        return ExitCode::SUCCESS;
    }
    let filtered = all - chosen.len();
    println!("\nrunning {} tests", chosen.len());
    chosen.into_iter().for_each(|c| run(c, &mut tally));
    report(&tally, filtered)
}

fn run(check: Check, tally: &mut Tally) {
    let watched = watch(check.name.clone(), check.within);
    let result = panic::catch_unwind(AssertUnwindSafe(check.run));
    drop(watched);
    match result {
        Ok(Ok(())) => {
            println!("test {} ... ok", check.name);
            tally.passed += 1;
        }
        Ok(Err(Skip(why))) => {
            println!("test {} ... skipped: {why}", check.name);
            *tally.skipped.entry(why).or_default() += 1;
        }
        Err(_) => {
            println!("test {} ... FAILED", check.name);
            tally.failed.push(check.name);
        }
    }
}

/// Ends the process if it is not dropped in time. Its thread is gone then: checks count threads.
struct Watch {
    alive: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.alive = None;
        // It cannot panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(name: String, within: Duration) -> Watch {
    let (alive, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        if ended.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            println!("test {name} ... FAILED: it hangs, {within:?} are over");
            std::process::exit(HUNG);
        }
    });
    Watch {
        alive: Some(alive),
        thread: Some(thread),
    }
}

fn report(tally: &Tally, filtered: usize) -> ExitCode {
    println!();
    for (why, count) in &tally.skipped {
        println!("skipped: {why} ({count} tests)");
    }
    tally
        .failed
        .iter()
        .for_each(|name| println!("failed: {name}"));
    let ok = tally.failed.is_empty();
    println!(
        "test result: {}. {} passed; {} failed; {} skipped; {filtered} filtered out\n",
        if ok { "ok" } else { "FAILED" },
        tally.passed,
        tally.failed.len(),
        tally.skipped.values().sum::<usize>(),
    );
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(words: &[&str]) -> Choice {
        Choice::parse(words.iter().map(|w| (*w).to_owned()))
    }

    #[test]
    fn filters_choose_by_part_or_whole() {
        assert!(choice(&["--nocapture"]).has("rows/direct"));
        assert!(choice(&["direct", "--test-threads", "1"]).has("rows/direct"));
        assert!(!choice(&["direct", "--exact"]).has("rows/direct"));
        assert!(!choice(&["--skip", "rows"]).has("rows/direct"));
        assert!(!choice(&["--ignored"]).has("rows/direct"));
    }
}
