//! `kvm_amd` under QEMU's TCG.
//!
//! In: a directory with the initramfs. Out: the command that boots it, its serial ports writing to
//! the files that `boot` reads. QEMU 10 only: 7.2 loses flags after cmpxchg16b and L1 panics.

use std::process::Command;

use super::Kind;
use super::boot::{CONSOLE, INITRAMFS, KERNEL_ARGS, OUTPUT};
use super::emulator;
use super::packages::Packages;

/// Memory of the emulated machine; the guest under test takes a part of it.
const MEMORY_MIB: u32 = 512;

pub(super) fn command(packages: &Packages, kind: Kind) -> Command {
    let size = (kind.cpus(), MEMORY_MIB);
    let mut command = emulator::qemu(packages, kind.cpu(), size, &[CONSOLE, OUTPUT]);
    command.arg("-kernel").arg(packages.kernel());
    command.args(["-initrd", INITRAMFS, "-append", KERNEL_ARGS]);
    command
}
