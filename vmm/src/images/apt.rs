//! The machine's package client, for one suite: which packages it has, and their files.
//!
//! It runs with lists, caches and sources of its own, so that it needs no rights and changes
//! nothing; the mirrors are those the machine's own configuration names.

use super::cache::{CacheError, Scratch};
use super::fetch::FetchError;
use super::job::Jobs;
use std::fs;
use std::path::{Path, PathBuf};

/// What signs Debian's suites.
pub(super) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) version: String,
}

/// The client, set up for a suite.
pub(super) struct Apt<'a> {
    jobs: Jobs<'a>,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    /// Reads a suite's package lists from a mirror.
    pub(super) fn update(
        jobs: Jobs<'a>,
        mirror: &str,
        suite: &str,
        lists: &Path,
        scratch: &Scratch,
    ) -> Result<Apt<'a>, FetchError> {
        let archives = scratch.path.join("archives");
        for dir in [lists.join("partial"), archives.join("partial")] {
            fs::create_dir_all(&dir).map_err(CacheError::io("create", &dir))?;
        }
        let sources = scratch.path.join("sources.list");
        let line = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(&sources, line).map_err(CacheError::io("write", &sources))?;
        let options = options(&sources, lists, &scratch.path);
        let apt = Apt { jobs, options };
        apt.get(&["update", "--error-on=any"])?;
        Ok(apt)
    }

    /// The newest package whose name matches.
    pub(super) fn newest(&self, name: &str) -> Result<Option<Candidate>, FetchError> {
        let found = self.cache(&["search", "--names-only", name])?;
        let names: Vec<&str> = found
            .lines()
            .filter_map(|line| line.split_once(" - ").map(|(name, _)| name))
            .collect();
        if names.is_empty() {
            return Ok(None);
        }
        let shown = self.cache(&[&["show", "--no-all-versions"], &names[..]].concat())?;
        let mut newest: Option<Candidate> = None;
        for candidate in candidates(&shown) {
            if self.is_newer(&candidate, newest.as_ref())? {
                newest = Some(candidate);
            }
        }
        Ok(newest)
    }

    fn is_newer(&self, new: &Candidate, old: Option<&Candidate>) -> Result<bool, FetchError> {
        let Some(old) = old else {
            return Ok(true);
        };
        let args = ["--compare-versions", &new.version, "gt", &old.version];
        match self.jobs.run("dpkg", args) {
            Ok(_) => Ok(true),
            Err(FetchError::Program { status, .. }) if status.code() == Some(1) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Downloads a package, its hash checked; where it is.
    pub(super) fn download(&self, name: &str, version: &str) -> Result<PathBuf, FetchError> {
        self.get(&["download", &format!("{name}={version}")])?;
        let entries = fs::read_dir(self.jobs.dir).into_iter().flatten().flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths
            .find(|path| path.extension() == Some("deb".as_ref()))
            .ok_or_else(|| FetchError::Nothing(name.to_owned()))
    }

    /// Unpacks a package's files.
    pub(super) fn unpack(&self, deb: &Path, tree: &Path) -> Result<(), FetchError> {
        let args = ["-x".as_ref(), deb.as_os_str(), tree.as_os_str()];
        self.jobs.run("dpkg-deb", args).map(|_| ())
    }

    fn get(&self, args: &[&str]) -> Result<String, FetchError> {
        self.jobs.run("apt-get", self.with_options(args))
    }

    fn cache(&self, args: &[&str]) -> Result<String, FetchError> {
        self.jobs.run("apt-cache", self.with_options(args))
    }

    fn with_options(&self, args: &[&str]) -> Vec<String> {
        let options = self.options.iter().cloned();
        options
            .chain(args.iter().map(ToString::to_string))
            .collect()
    }
}

/// Everything in directories of our own; only what is needed; no other user's rights wanted.
fn options(sources: &Path, lists: &Path, scratch: &Path) -> Vec<String> {
    let settings = [
        format!("Dir::Etc::sourcelist={}", sources.display()),
        "Dir::Etc::sourceparts=-".to_owned(),
        "Dir::Etc::preferences=-".to_owned(),
        "Dir::Etc::preferencesparts=-".to_owned(),
        format!("Dir::State::lists={}", lists.display()),
        "Dir::State::status=/dev/null".to_owned(),
        format!("Dir::Cache={}", scratch.display()),
        "Dir::Cache::archives=archives".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::PDiffs=false".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        "Acquire::Retries=2".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Architectures=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let pairs = settings.into_iter().flat_map(|s| ["-o".to_owned(), s]);
    pairs.chain(["-q".to_owned()]).collect()
}

/// The mirrors the machine's configuration names, in its order, however it is written.
pub(super) fn mirrors(jobs: &Jobs<'_>) -> Result<Vec<String>, FetchError> {
    // With no lists the client wants all of them, and says from where.
    let lists = jobs.dir.join("no-lists");
    let partial = lists.join("partial");
    fs::create_dir_all(&partial).map_err(CacheError::io("create", &partial))?;
    let option = format!("Dir::State::lists={}", lists.display());
    let uris = jobs.run("apt-get", ["update", "--print-uris", "-o", &option])?;
    Ok(archives(&uris))
}

/// The archives of a list of URIs: what comes before `/dists/`, each once. Archives of other
/// things than packages of a suite (security, third parties) fail when asked for one.
fn archives(uris: &str) -> Vec<String> {
    let mut archives = Vec::new();
    for line in uris.lines() {
        let uri = line.trim_start_matches('\'');
        let Some((archive, _)) = uri.split_once("/dists/") else {
            continue;
        };
        if !archives.iter().any(|a| a == archive) {
            archives.push(archive.to_owned());
        }
    }
    // Debian's own is called that nearly everywhere.
    archives.sort_by_key(|archive| !archive.ends_with("/debian"));
    archives
}

/// The packages in the client's records.
fn candidates(records: &str) -> Vec<Candidate> {
    let field = |record: &str, name: &str| {
        let mut lines = record.lines();
        lines.find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    let parse = |record: &str| {
        Some(Candidate {
            name: field(record, "Package:")?,
            version: field(record, "Version:")?,
        })
    };
    records.split("\n\n").filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_named_once_and_debian_comes_first() {
        let uris = "'http://m/debian-security/dists/stable-security/InRelease' x 0 \n\
                    'http://m/debian/dists/stable/InRelease' m_debian 0 \n\
                    'http://m/debian/dists/stable/main/Packages.xz' m_debian 0 \n\
                    'mirror+file:/etc/m.list/dists/s/InRelease' y 0\n\
                    nothing\n";
        assert_eq!(
            archives(uris),
            [
                "http://m/debian",
                "http://m/debian-security",
                "mirror+file:/etc/m.list"
            ]
        );
    }

    #[test]
    fn records_give_names_and_versions() {
        let records = "Package: a\nVersion: 1:2.0-1\nDescription: x\n\nPackage: b\nVersion: 3\n";
        let found = candidates(records);
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].name, &*found[0].version), ("a", "1:2.0-1"));
        assert_eq!((&*found[1].name, &*found[1].version), ("b", "3"));
    }
}
