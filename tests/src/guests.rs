//! Linux guests: which to boot, their kernels, one boot as a process, and what it printed.
//!
//! In: `XENLET_LINUX`: `all`, `none`, or images' names with commas; unset, the oldest and the
//! newest release. Out: a [`Booted`], or why there is none on this machine.

use crate::binary;
use crate::runner::Skip;
use crate::runs::kvm;
use crate::scratch::{Scratch, text};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use xenlet::images::{Cache, recipes};

/// Which images are booted.
pub const LINUX: &str = "XENLET_LINUX";
/// Those booted if nothing is said.
const SHORT: [&str; 2] = ["debian-6.1", "debian-7.2"];

/// The images to boot: those Linux is in.
///
/// # Panics
/// If the variable names one there is not.
#[must_use]
pub fn chosen() -> Vec<String> {
    let all = recipes().into_iter().filter(|recipe| recipe.initramfs);
    let all: Vec<String> = all.map(|recipe| recipe.name).collect();
    let asked = env::var(LINUX).unwrap_or_default();
    let names: Vec<String> = match asked.as_str() {
        "" => SHORT.map(str::to_owned).to_vec(),
        "none" => Vec::new(),
        "all" => return all,
        names => names.split(',').map(str::to_owned).collect(),
    };
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        panic!(
            "{LINUX}: no Linux {unknown:?}; there are {}",
            all.join(", ")
        );
    }
    names
}

/// Sees to it that the image is here, and that it can be booted.
///
/// # Errors
/// If this machine cannot run or fetch it.
pub fn ready(image: &str) -> Result<(), Skip> {
    kvm()?;
    fetched(image)
}

/// Sees to it that the image is here.
///
/// # Errors
/// If this machine cannot fetch it.
pub fn fetched(image: &str) -> Result<(), Skip> {
    let cache = Cache::of_user().map_err(|e| Skip(e.to_string()))?;
    if cache.get(image).is_some() && cache.get("busybox").is_some() {
        return Ok(());
    }
    let fetched = binary::run(binary::xenlet(), &["images", "fetch", image]);
    match fetched.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&fetched.stderr);
            let why = said.lines().last().unwrap_or("it did not say why");
            Err(Skip(format!("{image} cannot be fetched: {why}")))
        }
    }
}

/// One boot.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// The image.
    pub image: &'a str,
    /// vCPUs.
    pub cpus: u32,
    /// Memory, if not as much as the image is given by itself.
    pub mem_mib: Option<u32>,
    /// Instead of the built-in one.
    pub initrd: Option<&'a Path>,
    /// What the command line has beside the console.
    pub cmdline: &'a str,
    /// Seconds it may take.
    pub time_limit_s: u64,
}

/// What a boot left.
#[derive(Debug)]
pub struct Booted {
    /// `xenlet`'s exit code.
    pub code: Option<i32>,
    /// The guest's console, without carriage returns.
    pub console: String,
    /// `xenlet`'s own messages.
    pub errors: String,
    /// The report; null where there is none.
    pub report: Value,
}

impl Boot<'_> {
    /// Boots it, to its end.
    ///
    /// # Panics
    /// If `xenlet` cannot be started.
    #[must_use]
    pub fn run(&self) -> Booted {
        let dir = Scratch::new();
        let stats = dir.path("stats.json");
        let (cpus, limit) = (self.cpus.to_string(), self.time_limit_s.to_string());
        let mut command = Command::new(binary::xenlet());
        command
            .args(["boot", "--image", self.image, "--cpus", &cpus])
            .args(["--time-limit", &limit, "--stats", &text(&stats)])
            .args(["--cmdline", &format!("console=hvc0 {}", self.cmdline)])
            .stdin(Stdio::null());
        if let Some(mem_mib) = self.mem_mib {
            command.args(["--mem-mib", &mem_mib.to_string()]);
        }
        if let Some(initrd) = self.initrd {
            command.arg("--initrd").arg(initrd);
        }
        let output = command.output().expect("xenlet starts");
        let report = fs::read(&stats).ok();
        Booted {
            code: output.status.code(),
            console: String::from_utf8_lossy(&output.stdout).replace('\r', ""),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
            report: report.map_or(Value::Null, |r| {
                serde_json::from_slice(&r).expect("a report is JSON")
            }),
        }
    }
}

impl Booted {
    /// A counter of the report; 0 where there is none, as where it never counted.
    #[must_use]
    pub fn counter(&self, group: &str, name: &str) -> u64 {
        self.report["counters"][group][name].as_u64().unwrap_or(0)
    }

    /// All counters of a group together.
    #[must_use]
    pub fn total(&self, group: &str) -> u64 {
        let rows = self.report["counters"][group].as_object();
        rows.map_or(0, |rows| rows.values().filter_map(Value::as_u64).sum())
    }

    /// The console's end and what `xenlet` said, for a failure's message.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines: Vec<&str> = self.console.lines().collect();
        let from = lines.len().saturating_sub(30);
        format!(
            "{:?}\n{}\n{}",
            self.code,
            lines[from..].join("\n"),
            self.errors
        )
    }
}

/// The built-in initramfs with Python in it, where Python can be had; else why not. Made once.
///
/// # Panics
/// If what was fetched cannot be read.
pub fn initrd_with_python() -> &'static (PathBuf, Option<String>) {
    static MADE: OnceLock<(Scratch, (PathBuf, Option<String>))> = OnceLock::new();
    let make = || {
        let dir = Scratch::new();
        let cache = Cache::of_user().expect("images were fetched");
        let busybox = xenlet::initramfs::busybox(&cache, "debian-6.1").expect("fetched");
        let archive = xenlet::initramfs::with_busybox(&busybox);
        let (archive, lacks) = match crate::userland::python() {
            Ok(tree) => {
                let whole = crate::userland::add(archive, &tree);
                (whole.expect("what was unpacked can be read"), None)
            }
            Err(why) => (archive, Some(why.to_string())),
        };
        let path = dir.path("initrd");
        fs::write(&path, archive.finish()).expect("a scratch file");
        (dir, (path, lacks))
    };
    &MADE.get_or_init(make).1
}
