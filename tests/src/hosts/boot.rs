//! One boot of an emulated host, from the packed command to its result, bounded in time.
//!
//! In: the packages, the kind of host, the command. Out: the command's [`Output`], or who else is
//! to blame. The emulator is killed, and its directory removed, whichever way this is left.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::console::Progress;
use super::initramfs::{self, PackError};
use super::packages::Packages;
use super::scratch::Scratch;
use super::{Command, Kind, Output, bochs, qemu};

pub(super) const INITRAMFS: &str = "initramfs";
pub(super) const CONSOLE: &str = "console";
pub(super) const OUTPUT: &str = "output";
pub(super) const KERNEL_ARGS: &str = "console=ttyS0,115200 quiet panic=-1";

/// What the emulator itself says.
const EMULATOR_LOG: &str = "emulator.log";
/// How many of the console's lines an error shows.
const TAIL: usize = 40;
/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(50);
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

/// An emulator's process, killed when dropped.
struct Emulator(Child);

impl Emulator {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Waits for a power-off, but not for ever.
    fn power_off(mut self) {
        let until = Instant::now() + POWER_OFF;
        while self.ended().is_none() && Instant::now() < until {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    Ok(Output {
        code: progress.status.unwrap_or(-1),
        stdout: fs::read(scratch.join(OUTPUT)).map_err(emulator_error)?,
        console: text(&scratch.join(CONSOLE)),
        flushes: progress.flushes,
        wall: started.elapsed(),
    })
}

fn start(packages: &Packages, kind: Kind, dir: &Path) -> Result<Emulator, io::Error> {
    let mut command = match kind.is_intel() {
        true => bochs::command(packages, dir)?,
        false => qemu::command(packages, kind, dir),
    };
    let log = File::create(dir.join(EMULATOR_LOG))?;
    command.stdout(log.try_clone()?).stderr(log);
    command.spawn().map(Emulator)
}

/// Follows the console to the command's status, or to what prevents one.
fn watch(
    kind: Kind,
    mut emulator: Emulator,
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
        if progress.status.is_some() {
            emulator.power_off();
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

/// A file that may not be there yet, and may hold anything.
fn text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The last lines, or those from where the kernel says what happened to it.
fn tail(text: &str) -> String {
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
