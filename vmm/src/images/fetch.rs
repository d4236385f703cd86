//! One fetch: a [`Package`] → its file in the [`Cache`], or nothing at all.

use super::apt::{Apt, Candidate, KEYRING, mirrors};
use super::cache::{Cache, CacheError, Fetched, Scratch};
use super::interrupt::Interrupt;
use super::job::Jobs;
use super::pattern::find;
use super::recipe::Package;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use thiserror::Error;

/// Why a fetch failed.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Not a Debian machine.
    #[error(
        "cannot run {program}: images come from Debian by its own package client; on other \
         systems give boot a kernel of your own with --kernel"
    )]
    NoProgram {
        /// The program.
        program: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nothing to check Debian's signatures with.
    #[error(
        "{KEYRING} is missing: on Debian install debian-archive-keyring, on other systems give \
         boot a kernel of your own with --kernel"
    )]
    NoKeyring,
    /// The machine names no archive.
    #[error(
        "this machine's apt configuration names no mirror: add one, or give boot a kernel of \
         your own with --kernel"
    )]
    NoMirror,
    /// A program failed.
    #[error("{program} failed ({status}): {why}")]
    Program {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        why: String,
    },
    /// The suites have moved on.
    #[error("no package matches {name} in {}", suites.join(", "))]
    NoPackage {
        /// The expression.
        name: String,
        /// Where it was looked for.
        suites: Vec<String>,
    },
    /// The client succeeded without doing anything.
    #[error("apt-get downloaded nothing for {0}")]
    Nothing(String),
    /// Another layout.
    #[error("package {package} {version} has none of {}", files.join(", "))]
    NoFile {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// What was looked for.
        files: Vec<String>,
    },
    /// Ctrl-C.
    #[error("interrupted: nothing was kept")]
    Interrupted,
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Fetches a package's file into the cache under `name`, unless its newest version is there
/// already; `progress` is told what is being done.
///
/// # Errors
/// If the machine has no Debian package client, no mirror has the package, or it lacks the file.
pub fn fetch(
    cache: &Cache,
    name: &str,
    package: &Package,
    progress: &mut dyn FnMut(&str),
) -> Result<Fetched, FetchError> {
    if !Path::new(KEYRING).is_file() {
        return Err(FetchError::NoKeyring);
    }
    let watching = CacheError::io("watch signals for", Path::new(name));
    let interrupt = Interrupt::watch().map_err(watching)?;
    let scratch = cache.scratch()?;
    let work = scratch.path.join("work");
    fs::create_dir(&work).map_err(CacheError::io("create", &work))?;
    let jobs = Jobs {
        dir: &work,
        interrupt: &interrupt,
    };
    let (apt, found) = search(jobs, cache, package, &scratch, progress)?;
    let same = |kept: &Fetched| kept.package == found.package && kept.version == found.version;
    if let Some(kept) = cache.get(name).filter(same) {
        progress(&format!(
            "{} {} is there already",
            kept.package, kept.version
        ));
        return Ok(kept);
    }
    let tree = found.unpack(&apt, &scratch, progress)?;
    let (from, fetched) = found.choose(&tree, &package.files)?;
    Ok(cache.put(name, &from, &fetched, &scratch)?)
}

/// Looks for a package in its suites, on each of the machine's mirrors until one has the suite.
fn search<'a>(
    jobs: Jobs<'a>,
    cache: &Cache,
    package: &Package,
    scratch: &Scratch,
    progress: &mut dyn FnMut(&str),
) -> Result<(Apt<'a>, Found), FetchError> {
    let mut refused = FetchError::NoMirror;
    let mirrors = mirrors(&jobs)?;
    for suite in &package.suites {
        for mirror in &mirrors {
            progress(&format!("reading the package lists of {suite}"));
            let apt = match Apt::update(jobs, mirror, suite, &cache.lists(suite), scratch) {
                Ok(apt) => apt,
                Err(error @ FetchError::Program { .. }) => {
                    refused = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(newest) = apt.newest(&package.name)? {
                return Ok((apt, Found::of(newest, suite)));
            }
            refused = none(package);
            break;
        }
    }
    Err(refused)
}

fn none(package: &Package) -> FetchError {
    FetchError::NoPackage {
        name: package.name.clone(),
        suites: package.suites.clone(),
    }
}

/// The newest version, and where it was found.
struct Found {
    package: String,
    version: String,
    suite: String,
}

impl Found {
    fn of(newest: Candidate, suite: &str) -> Found {
        Found {
            package: newest.name,
            version: newest.version,
            suite: suite.to_owned(),
        }
    }

    /// Downloads and unpacks it; where to.
    fn unpack(
        &self,
        apt: &Apt<'_>,
        scratch: &Scratch,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, FetchError> {
        let Found {
            package,
            version,
            suite,
        } = self;
        progress(&format!("downloading {package} {version} from {suite}"));
        let deb = apt.download(package, version)?;
        progress(&format!("unpacking {package}"));
        let tree = scratch.path.join("tree");
        apt.unpack(&deb, &tree)?;
        Ok(tree)
    }

    /// The file that is wanted of what was unpacked, and its record.
    fn choose(self, tree: &Path, files: &[String]) -> Result<(PathBuf, Fetched), FetchError> {
        let Found {
            package,
            version,
            suite,
        } = self;
        let Some(member) = find(tree, files) else {
            return Err(FetchError::NoFile {
                package,
                version,
                files: files.to_vec(),
            });
        };
        let fetched = Fetched {
            package,
            version,
            suite,
            member: member.to_string_lossy().into_owned(),
            file: PathBuf::new(),
        };
        Ok((tree.join(member), fetched))
    }
}
