//! `kvm_amd` under QEMU's TCG.
//!
//! In: a directory with the initramfs. Out: the command that boots it, its serial ports writing to
//! the files that `boot` reads. QEMU 10 only: 7.2 loses flags after cmpxchg16b and L1 panics.

use std::path::Path;
use std::process::Command;

use super::Kind;
use super::boot::{CONSOLE, INITRAMFS, KERNEL_ARGS, OUTPUT};
use super::packages::Packages;

/// Memory of the emulated machine; the guest under test takes a part of it.
const MEMORY_MIB: &str = "512";

pub(super) fn command(packages: &Packages, kind: Kind, dir: &Path) -> Command {
    let mut command = packages.tool("usr/bin/qemu-system-x86_64");
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(packages.path(data));
    }
    command.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "EPYC",
        "-m",
        MEMORY_MIB,
    ]);
    command.args(["-smp", &kind.cpus().to_string()]);
    command.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]);
    command.args([
        "-serial",
        &format!("file:{CONSOLE}"),
        "-serial",
        &format!("file:{OUTPUT}"),
    ]);
    command.arg("-kernel").arg(packages.kernel());
    command.args(["-initrd", INITRAMFS, "-append", KERNEL_ARGS]);
    command.current_dir(dir);
    command
}
