//! Which packages make the emulated hosts, and where their parts are once unpacked.
//!
//! In: the private package client. Out: paths of the kernel, its modules, busybox, the firmware,
//! and commands that start an emulator with its own libraries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::apt::{self, Apt, AptError};
use super::cache;

/// What is asked of the package client; libraries follow by dependency.
const TOOLS: [&str; 8] = [
    "qemu-system-x86",
    "bochs",
    "bochs-term",
    "bochsbios",
    "vgabios",
    "isolinux",
    "syslinux-common",
    "genisoimage",
];
/// Dependencies that hold files the emulators read, beside the libraries.
const DATA: [&str; 3] = ["qemu-system-common", "qemu-system-data", "seabios"];
/// Libraries by name that nothing here loads.
const UNUSED: [&str; 3] = ["libperl", "libicu", "libsystemd-shared"];
/// The name of the unpacked set; changes when what is in it does.
const SET: &str = "v1";
/// The modules, in the order they are loaded; one of the last two.
const MODULES: [&str; 4] = ["irqbypass", "kvm", "kvm-amd", "kvm-intel"];

/// Why this machine cannot have emulated hosts: printed and counted, never a failure.
#[derive(Debug, thiserror::Error)]
pub enum Skip {
    /// The packages are for x86-64 only.
    #[error("the packages are for x86-64 machines")]
    Architecture,
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache directory: neither XDG_CACHE_HOME nor HOME is set")]
    NoCacheDirectory,
    /// A package could not be fetched or unpacked.
    #[error("the packages cannot be had: {0}")]
    Packages(#[from] AptError),
    /// The cache cannot be written, or a package lacks a file.
    #[error("the cache cannot be filled: {0}")]
    Cache(#[from] io::Error),
}

/// The unpacked packages.
#[derive(Clone, Debug)]
pub(crate) struct Packages {
    set: PathBuf,
}

impl Packages {
    pub(crate) fn open() -> Result<Self, Skip> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Skip::Architecture);
        }
        let cache = cache::directory().ok_or(Skip::NoCacheDirectory)?;
        Ok(Self {
            set: cache::filled(&cache, SET, fetch)?,
        })
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.set.join("l1/vmlinuz")
    }

    pub(super) fn busybox(&self) -> PathBuf {
        self.set.join("l1/busybox")
    }

    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.set.join("l1").join(format!("{name}.ko"))
    }

    /// A file of the tools' packages, by its installed path without the leading slash.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.set.join("tools").join(file)
    }

    /// A command that runs `program` of the tools with the libraries beside it, whatever the
    /// machine's own are, and that dies with this process where `setpriv` can see to it.
    pub(crate) fn tool(&self, program: &str) -> Command {
        let loader = self.path("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
        let mut command = if has_setpriv() {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(loader);
            command
        } else {
            Command::new(loader)
        };
        let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
            .map(|dir| self.path(dir).display().to_string());
        command
            .arg("--library-path")
            .arg(libraries.join(":"))
            .arg(self.path(program));
        command.stdin(Stdio::null());
        command
    }
}

fn has_setpriv() -> bool {
    let mut probe = Command::new("setpriv");
    let probe = probe
        .args(["--pdeathsig", "KILL", "true"])
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

/// Fetches and unpacks everything; returns the directory to keep.
fn fetch(work: &Path) -> Result<PathBuf, Skip> {
    let apt = Apt::new(&work.join("apt"))?;
    let mut tools = apt.closure(&TOOLS)?;
    tools.retain(|name| is_wanted(name));
    let kernel = apt.newest("linux-image-6.12.", "-cloud-amd64-unsigned")?;

    let set = work.join("set");
    unpack_all(&apt, &tools, &work.join("debs"), &set.join("tools"))?;
    prune(&set.join("tools"))?;
    let system = work.join("system");
    let l1 = [kernel.clone(), "busybox-static".to_owned()];
    unpack_all(&apt, &l1, &work.join("l1-debs"), &system)?;
    fs::create_dir_all(set.join("l1"))?;
    keep_l1(
        &system,
        kernel.trim_start_matches("linux-image-"),
        &set.join("l1"),
    )?;
    Ok(set)
}

fn is_wanted(name: &str) -> bool {
    let library = name.starts_with("lib") && !UNUSED.iter().any(|unused| name.starts_with(unused));
    library || TOOLS.contains(&name) || DATA.contains(&name)
}

fn unpack_all(apt: &Apt, names: &[String], debs: &Path, into: &Path) -> Result<(), Skip> {
    apt.download(names, debs)?;
    for deb in fs::read_dir(debs)? {
        apt::unpack(&deb?.path(), into)?;
    }
    Ok(())
}

fn prune(tools: &Path) -> Result<(), io::Error> {
    for unused in ["doc", "locale", "man", "icons"] {
        let path = tools.join("usr/share").join(unused);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// Takes the kernel, busybox and the modules, unpacked, out of an unpacked system.
fn keep_l1(system: &Path, unsigned: &str, l1: &Path) -> Result<(), Skip> {
    let release = unsigned.trim_end_matches("-unsigned");
    let busybox = l1.join("busybox");
    fs::copy(system.join("bin/busybox"), &busybox)?;
    fs::copy(
        system.join("boot").join(format!("vmlinuz-{release}")),
        l1.join("vmlinuz"),
    )?;
    let modules = system.join("lib/modules").join(release).join("kernel");
    for name in MODULES {
        let dir = if name == "irqbypass" {
            "virt/lib"
        } else {
            "arch/x86/kvm"
        };
        let packed = l1.join(format!("{name}.ko.xz"));
        fs::copy(modules.join(dir).join(format!("{name}.ko.xz")), &packed)?;
        apt::checked(
            "busybox unxz",
            Command::new(&busybox).arg("unxz").arg(packed),
        )?;
    }
    Ok(())
}
