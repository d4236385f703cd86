//! The machine's package client, kept in a directory of its own.
//!
//! Owns a private apt state: its own source list, package lists and archive directory, so nothing
//! of the machine's is changed and nothing is installed. In: package names. Out: `.deb` files that
//! apt has verified by the machine's keys, unpacked with `dpkg-deb`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::sources::{self, Mirror};

/// The release the packages come from, whatever release this machine is.
const RELEASE: &str = "bookworm";
/// Seconds after which a step of the package client is given up.
const STEP_LIMIT: &str = "600";

/// Why a package could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// A tool is missing or cannot be started.
    #[error("cannot run {tool}: {source}")]
    Start {
        /// The tool.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// A tool ended with an error.
    #[error("{tool} failed: {message}")]
    Failed {
        /// The tool.
        tool: String,
        /// The last line of what it said.
        message: String,
    },
    /// The machine's package sources name no Debian archive.
    #[error("apt's configuration names no Debian mirror")]
    NoMirror,
    /// No kernel of the wanted series is offered.
    #[error("no package {0}")]
    NoPackage(String),
    /// The private directories cannot be written.
    #[error("cannot write the package client's directory")]
    Write(#[from] io::Error),
}

/// A private package client.
#[derive(Debug)]
pub(crate) struct Apt {
    config: PathBuf,
}

impl Apt {
    /// Sets up `dir` and fetches the package lists.
    pub(crate) fn new(dir: &Path) -> Result<Self, AptError> {
        let mirror = mirror()?;
        for sub in ["state/lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(dir.join(sub))?;
        }
        std::fs::write(dir.join("status"), "")?;
        std::fs::write(dir.join("private.sources"), stanza(&mirror))?;
        std::fs::write(dir.join("preferences"), preferences())?;
        let config = dir.join("apt.conf");
        std::fs::write(&config, configuration(dir))?;
        let apt = Self { config };
        apt.run("apt-get", &["-q", "update"], None)?;
        Ok(apt)
    }

    /// All packages that installing `names` on an empty machine would take.
    pub(crate) fn closure(&self, names: &[&str]) -> Result<Vec<String>, AptError> {
        let mut args = vec!["install", "-qq", "--print-uris", "--no-install-recommends"];
        args.extend_from_slice(names);
        let listing = self.run("apt-get", &args, None)?;
        // Lines of: 'address' file_version_arch.deb size hash
        let files = listing
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1));
        Ok(files
            .filter_map(|file| Some(file.split_once('_')?.0.to_owned()))
            .collect())
    }

    /// The package with the highest version in its name between `prefix` and `suffix`.
    pub(super) fn newest(&self, prefix: &str, suffix: &str) -> Result<String, AptError> {
        let names = self.run("apt-cache", &["pkgnames", prefix], None)?;
        let version = |name: &str| -> Vec<u64> {
            name.split(|c: char| !c.is_ascii_digit())
                .filter_map(|n| n.parse().ok())
                .collect()
        };
        let fitting = names.lines().filter(|name| name.ends_with(suffix));
        let best = fitting.max_by_key(|name| version(name)).map(str::to_owned);
        best.ok_or_else(|| AptError::NoPackage(format!("{prefix}*{suffix}")))
    }

    /// Downloads and verifies `names` into `into`.
    pub(crate) fn download(&self, names: &[String], into: &Path) -> Result<(), AptError> {
        std::fs::create_dir_all(into)?;
        let mut args = vec!["-q", "download"];
        args.extend(names.iter().map(String::as_str));
        self.run("apt-get", &args, Some(into)).map(drop)
    }

    fn run(&self, tool: &str, args: &[&str], dir: Option<&Path>) -> Result<String, AptError> {
        let mut command = Command::new("timeout");
        command
            .args([STEP_LIMIT, tool, "-c"])
            .arg(&self.config)
            .args(args);
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        checked(tool, &mut command)
    }
}

/// Unpacks one package.
pub(crate) fn unpack(deb: &Path, into: &Path) -> Result<(), AptError> {
    std::fs::create_dir_all(into)?;
    let args = [OsStr::new("-x"), deb.as_os_str(), into.as_os_str()];
    checked("dpkg-deb", Command::new("dpkg-deb").args(args)).map(drop)
}

/// Runs a tool to its end and returns its output.
pub(super) fn checked(tool: &str, command: &mut Command) -> Result<String, AptError> {
    let start = |source| AptError::Start {
        tool: tool.to_owned(),
        source,
    };
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(start)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&stderr);
    let message = text
        .lines()
        .rfind(|line| !line.is_empty())
        .unwrap_or("no message")
        .to_owned();
    Err(AptError::Failed {
        tool: tool.to_owned(),
        message,
    })
}

/// The first Debian mirror of the machine's configuration, wherever apt keeps that.
fn mirror() -> Result<Mirror, AptError> {
    let ask = [
        "shell",
        "LIST",
        "Dir::Etc::sourcelist/f",
        "PARTS",
        "Dir::Etc::sourceparts/d",
    ];
    let answer = checked("apt-config", Command::new("apt-config").args(ask))?;
    let path = |name: &str| {
        let value = answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|quoted| PathBuf::from(quoted.trim_matches('\'')))
    };
    let mut files: Vec<PathBuf> = path("LIST").into_iter().collect();
    if let Some(entries) = path("PARTS").and_then(|parts| std::fs::read_dir(parts).ok()) {
        let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.append(&mut parts);
    }
    files
        .iter()
        .find_map(|file| in_file(file))
        .ok_or(AptError::NoMirror)
}

fn in_file(file: &Path) -> Option<Mirror> {
    let parse = match file.extension()?.to_str()? {
        "list" => sources::one_line,
        "sources" => sources::deb822,
        _ => return None,
    };
    parse(&std::fs::read_to_string(file).ok()?)
}

fn stanza(Mirror { uri, signed_by }: &Mirror) -> String {
    let keys = if signed_by.is_empty() {
        String::new()
    } else {
        format!("Signed-By: {signed_by}\n")
    };
    format!(
        "Types: deb\nURIs: {uri}\nSuites: {RELEASE} {RELEASE}-backports\nComponents: main\n\
         Architectures: amd64\nTargets: Packages\n{keys}"
    )
}

/// Backports before the release, dependencies included: QEMU must be 10, the kernel 6.12.
fn preferences() -> String {
    format!("Package: *\nPin: release n={RELEASE}-backports\nPin-Priority: 990\n")
}

/// The machine's own hooks after an update are not for this one.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         Dir::Etc::sourcelist \"{dir}/private.sources\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferences \"{dir}/preferences\";\nDir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::State \"{dir}/state/\";\nDir::State::status \"{dir}/status\";\n\
         Dir::Cache \"{dir}/cache/\";\nAPT::Architecture \"amd64\";\n\
         #clear APT::Architectures;\nAPT::Architectures {{ \"amd64\"; }};\n\
         Acquire::Languages \"none\";\nAcquire::Retries \"2\";\nAcquire::http::Timeout \"30\";\n\
         Acquire::https::Timeout \"30\";\nAPT::Sandbox::User \"root\";\n"
    )
}
