//! One boot of Xen with our guest as its first domain, bounded in time. The emulator is killed,
//! and its directory removed, whichever way this is left.

use super::Boot;
use crate::hosts::packages::Packages;
use crate::hosts::scratch::Scratch;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

const HYPERVISOR: &str = "xen";
const KERNEL: &str = "guest";
const CONSOLE: &str = "console";
const EMULATOR_LOG: &str = "emulator.log";
/// What Xen says last, once the first domain has ended.
const HALTED: &str = "Hardware Dom0 halted";
const CRASHED: &str = "Hardware Dom0 crashed";
/// What Xen's own lines begin with.
const XEN: &str = "(XEN)";
/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(20);

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

/// An emulator's process, killed when dropped.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    let log = File::create(scratch.join(EMULATOR_LOG))?;
    let mut command = command(packages, boot);
    command.current_dir(scratch.path());
    command.stdout(log.try_clone()?).stderr(log);
    let emulator = Emulator(command.spawn()?);
    watch(emulator, scratch.path(), boot.time_limit)
}

fn command(packages: &Packages, boot: &Boot<'_>) -> Command {
    let mut command = packages.tool("usr/bin/qemu-system-x86_64");
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(packages.path(data));
    }
    command.args([
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-no-user-config",
        "-no-reboot",
    ]);
    command.args([
        "-m",
        &boot.mem_mib.to_string(),
        "-smp",
        &boot.cpus.to_string(),
    ]);
    command.args([
        "-display", "none", "-vga", "none", "-net", "none", "-monitor", "none",
    ]);
    command.args(["-serial", &format!("file:{CONSOLE}")]);
    command.args(["-kernel", HYPERVISOR, "-append"]);
    command.arg("console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=none noreboot");
    // A module and its arguments; a comma would begin the next module.
    let cmdline = boot.cmdline.replace(',', ",,");
    command.arg("-initrd").arg(format!("{KERNEL} {cmdline}"));
    command
}

fn watch(mut emulator: Emulator, dir: &Path, limit: Duration) -> Result<String, BootError> {
    let deadline = Instant::now() + limit;
    loop {
        // In this order: what the console holds after the end is all that it will ever hold.
        let ended = emulator.0.try_wait()?.is_some();
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

/// A file that may not be there yet, and may hold anything.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
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
