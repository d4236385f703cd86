//! `kvm_intel` under Bochs, the one emulator with VMX.
//!
//! In: a directory with the initramfs. Out: the command that boots it from an ISO image made there.
//! Debian's Bochs is the debugger build, so a command file tells it to continue; its only display
//! without a network port is the terminal. It opens a pseudo-terminal for that, which nobody reads
//! and which must not fill up: a dumb terminal is drawn on only where the screen changes.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::apt;
use super::boot::{CONSOLE, INITRAMFS, KERNEL_ARGS, OUTPUT};
use super::packages::Packages;

const ISO: &str = "l1.iso";

/// The clock runs by instructions, about as many a second as Bochs executes on a good day.
fn configuration() -> String {
    format!(
        "config_interface: textconfig\n\
         display_library: term\n\
         romimage: file=$BXSHARE/BIOS-bochs-latest\n\
         vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n\
         cpu: model=corei7_haswell_4770, count=1, ips=50000000, reset_on_triple_fault=0, \
         ignore_bad_msrs=1\n\
         memory: guest=512, host=512\n\
         clock: sync=none\n\
         ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
         ata0-master: type=cdrom, path={ISO}, status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev={CONSOLE}\n\
         com2: enabled=1, mode=file, dev={OUTPUT}\n\
         log: bochs.log\n\
         panic: action=fatal\nerror: action=ignore\ninfo: action=ignore\ndebug: action=ignore\n"
    )
}

pub(super) fn command(packages: &Packages, dir: &Path) -> Result<Command, io::Error> {
    make_iso(packages, dir)?;
    fs::write(dir.join("bochsrc"), configuration())?;
    fs::write(dir.join("continue"), "c\n")?;
    let mut command = packages.tool("usr/bin/bochs-bin");
    command.args(["-q", "-f", "bochsrc", "-rc", "continue"]);
    command
        .env("BXSHARE", packages.path("usr/share/bochs"))
        .env("TERM", "dumb");
    command.env(
        "LTDL_LIBRARY_PATH",
        packages.path("usr/lib/x86_64-linux-gnu/bochs/plugins"),
    );
    Ok(command)
}

fn make_iso(packages: &Packages, dir: &Path) -> Result<(), io::Error> {
    let tree = dir.join("iso");
    fs::create_dir(&tree)?;
    fs::copy(packages.kernel(), tree.join("vmlinuz"))?;
    fs::rename(dir.join(INITRAMFS), tree.join("initrd"))?;
    for loader in [
        "usr/lib/ISOLINUX/isolinux.bin",
        "usr/lib/syslinux/modules/bios/ldlinux.c32",
    ] {
        let file = packages.path(loader);
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, tree.join(name))?;
    }
    let menu = format!(
        "DEFAULT l1\nPROMPT 0\nLABEL l1\nKERNEL /vmlinuz\nINITRD /initrd\nAPPEND {KERNEL_ARGS}\n"
    );
    fs::write(tree.join("isolinux.cfg"), menu)?;
    let mut tool = packages.tool("usr/bin/genisoimage");
    tool.args([
        "-quiet",
        "-o",
        ISO,
        "-b",
        "isolinux.bin",
        "-c",
        "boot.cat",
        "-no-emul-boot",
    ]);
    tool.args(["-boot-load-size", "4", "-boot-info-table", "iso"])
        .current_dir(dir);
    apt::checked("genisoimage", &mut tool)
        .map_err(io::Error::other)
        .map(drop)
}
