//! One boot of Xen with our guest as its first domain, bounded in time. The emulator is killed,
//! and its directory removed, whichever way this is left.

use super::Boot;
use crate::hosts::emulator::{self, EMULATOR_LOG, Emulator, POLL, text};
use crate::hosts::packages::Packages;
use crate::hosts::scratch::Scratch;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const HYPERVISOR: &str = "xen";
const KERNEL: &str = "guest";
const CONSOLE: &str = "console";
/// What Xen says last, once the first domain has ended.
const HALTED: &str = "Hardware Dom0 halted";
const CRASHED: &str = "Hardware Dom0 crashed";
/// What Xen's own lines begin with.
const XEN: &str = "(XEN)";

/// Why there is no answer from Xen.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The emulator could not be prepared or started.
    #[error("cannot start the emulator: {0}")]
    Emulator(#[from] io::Error),
    /// The guest crashed.
    #[error("the guest crashed on Xen\n{0}")]
    Crashed(String),
    /// The emulator ended before the guest did.
    #[error("the emulator ended early\n{0}")]
    Ended(String),
    /// The guest did not come to its end.
    #[error("no end within {0:?}\n{1}")]
    Limit(Duration, String),
}

/// The guest's part of the console.
pub(super) fn run(
    packages: &Packages,
    hypervisor: &[u8],
    boot: &Boot<'_>,
) -> Result<String, BootError> {
    let scratch = Scratch::new_in(&std::env::temp_dir())?;
    fs::write(scratch.join(HYPERVISOR), hypervisor)?;
    fs::write(scratch.join(KERNEL), boot.kernel)?;
    let emulator = Emulator::start(command(packages, boot), scratch.path())?;
    watch(emulator, scratch.path(), boot.time_limit)
}

fn command(packages: &Packages, boot: &Boot<'_>) -> Command {
    let size = (boot.cpus, boot.mem_mib);
    let mut command = emulator::qemu(packages, "max", size, &[CONSOLE]);
    command.args(["-kernel", HYPERVISOR, "-append"]);
    command.arg("console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=none noreboot");
    // A module and its arguments; a comma would begin the next module.
    let cmdline = boot.cmdline.replace(',', ",,");
    command.arg("-initrd").arg(format!("{KERNEL} {cmdline}"));
    command
}

fn watch(emulator: Emulator, dir: &Path, limit: Duration) -> Result<String, BootError> {
    let deadline = Instant::now() + limit;
    loop {
        // In this order: what the console holds after the end is all that it will ever hold.
        let ended = emulator.ended().is_some();
        let console = text(&dir.join(CONSOLE));
        if console.contains(HALTED) {
            return Ok(guest(&console));
        }
        if console.contains(CRASHED) {
            return Err(BootError::Crashed(tail(&console)));
        }
        if ended {
            let log = text(&dir.join(EMULATOR_LOG));
            return Err(BootError::Ended(format!("{}\n{log}", tail(&console))));
        }
        if Instant::now() > deadline {
            return Err(BootError::Limit(limit, tail(&console)));
        }
        thread::sleep(POLL);
    }
}

/// The lines that are not Xen's own.
fn guest(console: &str) -> String {
    let lines = console.lines().map(|line| line.trim_end_matches('\r'));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with(XEN)).collect();
    lines.join("\n")
}

/// The last lines, enough to see why.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_lines_are_those_that_are_not_xens() {
        let console = "(XEN) boot\r\nprobe a rc=0\r\n(XEN) Hardware Dom0 halted\r\n";
        assert_eq!(guest(console), "probe a rc=0");
    }
}
