//! An emulator's process, for hosts of ours and for real Xen alike: started in a directory of its
//! own, killed whichever way it is left.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::live::{self, Shared};
use super::packages::Packages;

/// What the emulator itself says.
pub(crate) const EMULATOR_LOG: &str = "emulator.log";
/// How often the console is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// A running emulator.
pub(crate) struct Emulator(Shared);

impl Emulator {
    /// Starts `command` in `dir`, what it says going to a file there.
    pub(crate) fn start(mut command: Command, dir: &Path) -> io::Result<Self> {
        let log = File::create(dir.join(EMULATOR_LOG))?;
        command.current_dir(dir);
        command.stdout(log.try_clone()?).stderr(log);
        live::started(|| command.spawn()).map(Self)
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        live::child(&self.0).try_wait().ok().flatten()
    }

    /// Waits for it to end by itself, but not for ever.
    pub(crate) fn wait(self, at_most: Duration) {
        let until = Instant::now() + at_most;
        while self.ended().is_none() && Instant::now() < until {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        live::forget_child(&self.0);
        // Both fail only where the process is gone already.
        let _ = live::child(&self.0).kill();
        let _ = live::child(&self.0).wait();
    }
}

/// QEMU, told where its own files are and nothing else.
pub(crate) fn program(packages: &Packages) -> Command {
    let mut command = packages.tool("usr/bin/qemu-system-x86_64");
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(packages.path(data));
    }
    command
}

/// QEMU without KVM: a machine with nothing but CPUs, memory and serial ports, which go to files.
pub(crate) fn qemu(
    packages: &Packages,
    cpu: &str,
    (cpus, mem_mib): (u32, u32),
    serial: &[&str],
) -> Command {
    let mut command = program(packages);
    command.args(["-accel", "tcg,thread=multi", "-cpu", cpu]);
    command.args(["-m", &mem_mib.to_string(), "-smp", &cpus.to_string()]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    command.args(["-display", "none"]);
    for file in serial {
        command.args(["-serial", &format!("file:{file}")]);
    }
    command
}

/// A file that may not be there yet, and may hold anything.
pub(crate) fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
