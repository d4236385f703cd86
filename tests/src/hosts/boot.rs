//! One boot of an emulated host, from the packed command to its result, bounded in time.
//!
//! In: the packages, the kind of host, the command. Out: the command's [`Output`], or who else is
//! to blame. The emulator is killed, and its directory removed, whichever way this is left.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use super::console::Progress;
use super::emulator::{EMULATOR_LOG, Emulator, POLL, text};
use super::initramfs::{self, PackError};
use super::packages::Packages;
use super::scratch::Scratch;
use super::{Command, Kind, Output, Run, bochs, qemu};

pub(super) const INITRAMFS: &str = "initramfs";
pub(super) const CONSOLE: &str = "console";
pub(super) const OUTPUT: &str = "output";
/// On a busy machine an emulated timer is late, and the kernel's check of it a panic; mitigations
/// make each of KVM's own system calls a change of page tables, which costs an emulator most.
pub(super) const KERNEL_ARGS: &str = "console=ttyS0,115200 quiet panic=-1 no_timer_check \
                                      mitigations=off nokaslr cryptomgr.notests";

/// How many of the console's lines an error shows.
const TAIL: usize = 40;
/// How long the machine may take to power off once the command's result is known.
const POWER_OFF: Duration = Duration::from_secs(10);

/// Everything that is not the command's own exit code.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The command could not be packed.
    #[error("cannot pack the command: {0}")]
    Pack(#[from] PackError),
    /// The emulator could not be prepared or started.
    #[error("{kind}: cannot start the emulator: {source}")]
    Emulator {
        /// The host.
        kind: Kind,
        /// Why.
        source: io::Error,
    },
    /// The host's init could not set KVM up.
    #[error("{kind}: cannot set the host up: {what}\n{console}")]
    Setup {
        /// The host.
        kind: Kind,
        /// The step.
        what: String,
        /// The console's end.
        console: String,
    },
    /// The host's own Linux died; `started` tells whether the command was running.
    #[error("{kind}: L1 died {}\n{console}", if *started { "under the command" } else { "in its boot" })]
    L1Died {
        /// The host.
        kind: Kind,
        /// Whether the command had been started.
        started: bool,
        /// The console's end, and what the emulator said.
        console: String,
    },
    /// The host did not come up in time.
    #[error("{kind}: L1 has not booted within {limit:?}\n{console}")]
    BootLimit {
        /// The host.
        kind: Kind,
        /// The limit.
        limit: Duration,
        /// The console's end.
        console: String,
    },
    /// The command did not end in time.
    #[error("{kind}: the command has not ended within {limit:?}\n{console}")]
    CommandLimit {
        /// The host.
        kind: Kind,
        /// The limit.
        limit: Duration,
        /// The console's end.
        console: String,
    },
}

pub(super) fn run(
    packages: &Packages,
    kind: Kind,
    command: &Command,
) -> Result<Output, HarnessError> {
    let started = Instant::now();
    let emulator_error = |source| HarnessError::Emulator { kind, source };
    let scratch = Scratch::new_in(&std::env::temp_dir()).map_err(emulator_error)?;
    let mark = scratch.name();
    let archive = initramfs::build(packages, kind, command, &mark)?;
    fs::write(scratch.join(INITRAMFS), archive).map_err(emulator_error)?;
    let emulator = start(packages, kind, scratch.path()).map_err(emulator_error)?;
    let progress = watch(kind, emulator, scratch.path(), &mark, command.time_limit)?;
    let packed = fs::read(scratch.join(OUTPUT)).map_err(emulator_error)?;
    let outputs = unpack(&packed, &mark).map_err(emulator_error)?;
    Ok(Output {
        runs: runs(&progress, outputs),
        console: text(&scratch.join(CONSOLE)),
        wall: started.elapsed(),
    })
}

fn start(packages: &Packages, kind: Kind, dir: &Path) -> Result<Emulator, io::Error> {
    let command = match kind.is_intel() {
        true => bochs::command(packages, dir)?,
        false => qemu::command(packages, kind),
    };
    Emulator::start(command, dir)
}

/// What each run wrote: the mark stands behind it, on a line of its own.
fn unpack(packed: &[u8], mark: &str) -> Result<Vec<Vec<u8>>, io::Error> {
    let mut all = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut all)?;
    let mark = format!("{mark}\n").into_bytes();
    let mut outputs = Vec::new();
    let mut rest = &all[..];
    while let Some(at) = rest.windows(mark.len()).position(|part| part == mark) {
        outputs.push(rest[..at].to_vec());
        rest = &rest[at + mark.len()..];
    }
    Ok(outputs)
}

/// Each run's own part of the flushes, which init counts through.
fn runs(progress: &Progress, outputs: Vec<Vec<u8>>) -> Vec<Run> {
    let mut before = Some(0);
    let run = |(&(code, flushes), stdout): (&(i32, Option<u64>), _)| {
        let own = flushes.zip(before).map(|(after, before)| after - before);
        before = flushes;
        Run {
            code,
            stdout,
            flushes: own,
        }
    };
    progress.ran.iter().zip(outputs).map(run).collect()
}

/// Follows the console to the command's status, or to what prevents one.
fn watch(
    kind: Kind,
    emulator: Emulator,
    dir: &Path,
    mark: &str,
    limit: Duration,
) -> Result<Progress, HarnessError> {
    let mut deadline = Instant::now() + kind.boot_limit();
    let mut running = false;
    loop {
        // In this order: what the console holds after the end is all that it will ever hold.
        let ended = emulator.ended().is_some();
        let console = text(&dir.join(CONSOLE));
        let progress = Progress::read(&console, mark);
        if progress.ended {
            emulator.wait(POWER_OFF);
            return Ok(progress);
        }
        if let Some(what) = progress.setup {
            return Err(HarnessError::Setup {
                kind,
                what,
                console: tail(&console),
            });
        }
        if ended || progress.panicked {
            let console = format!(
                "{}\n{}",
                tail(&console),
                tail(&text(&dir.join(EMULATOR_LOG)))
            );
            return Err(HarnessError::L1Died {
                kind,
                started: progress.started,
                console,
            });
        }
        if progress.started && !running {
            (running, deadline) = (true, Instant::now() + limit);
        }
        if Instant::now() > deadline {
            let console = tail(&console);
            return Err(match running {
                true => HarnessError::CommandLimit {
                    kind,
                    limit,
                    console,
                },
                false => HarnessError::BootLimit {
                    kind,
                    limit: kind.boot_limit(),
                    console,
                },
            });
        }
        thread::sleep(POLL);
    }
}

/// The last lines, or those from where the kernel says what happened to it.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let trouble = |line: &&str| {
        ["Kernel panic", "BUG:", "Oops:"]
            .iter()
            .any(|t| line.contains(t))
    };
    let last = lines.len().saturating_sub(TAIL);
    let from = lines.iter().position(trouble).unwrap_or(last);
    lines[from..]
        .iter()
        .take(TAIL)
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
