//! Where fetched files are kept: `$XDG_CACHE_HOME/xenlet/images`, else `~/.cache/xenlet/images`.
//!
//! A fetch is a directory `NAME@VERSION` with the file and a record of where it came from; the
//! link `NAME` points at the current one. Directories appear by rename and links are replaced by
//! rename, so nobody ever sees half of one.

use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use thiserror::Error;

/// The record's file name.
const RECORD: &str = "package.json";
/// What a scratch directory's name begins with; its owner's pid follows.
const SCRATCH: &str = ".fetch-";

/// The cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A file in the cache, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The package's full name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The suite it came from.
    pub suite: String,
    /// The file's path in the package.
    pub member: String,
    /// The file.
    #[serde(skip)]
    pub file: PathBuf,
}

/// The cache cannot be used.
#[derive(Debug, Error)]
pub enum CacheError {
    /// No place for it.
    #[error("neither XDG_CACHE_HOME nor HOME is set: there is no place for a cache")]
    NoHome,
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl CacheError {
    /// For `map_err`: what was tried, and on what.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
        let path = path.to_owned();
        move |source| CacheError::Io { what, path, source }
    }
}

impl Cache {
    /// This user's.
    ///
    /// # Errors
    /// If the environment names no place.
    pub fn of_user() -> Result<Cache, CacheError> {
        let set = |name| env::var_os(name).filter(|v: &OsString| Path::new(v).is_absolute());
        let base = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .ok_or(CacheError::NoHome)?;
        Ok(Cache::at(base.join("xenlet").join("images")))
    }

    /// One in a directory of the caller's.
    #[must_use]
    pub fn at(root: PathBuf) -> Cache {
        Cache { root }
    }

    /// What is there under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Fetched> {
        let dir = self.root.join(name);
        let record = fs::read(dir.join(RECORD)).ok()?;
        let fetched: Fetched = serde_json::from_slice(&record).ok()?;
        let file = dir.join(file_name(&fetched.member));
        file.is_file().then_some(Fetched { file, ..fetched })
    }

    /// Puts a file there under a name; `scratch` is where it is made ready.
    pub(super) fn put(
        &self,
        name: &str,
        from: &Path,
        fetched: &Fetched,
        scratch: &Scratch,
    ) -> Result<Fetched, CacheError> {
        let dir = scratch.path.join("done");
        fs::create_dir(&dir).map_err(CacheError::io("create", &dir))?;
        let file = dir.join(file_name(&fetched.member));
        fs::rename(from, &file).map_err(CacheError::io("move to", &file))?;
        let record = dir.join(RECORD);
        let json = serde_json::to_vec_pretty(fetched).map_err(io::Error::from);
        json.and_then(|json| fs::write(&record, json))
            .map_err(CacheError::io("write", &record))?;
        let version = format!("{name}@{}", fetched.version.replace('/', "_"));
        let kept = self.root.join(&version);
        // Someone else may have been faster with the same version; then theirs stays.
        if let Err(error) = fs::rename(&dir, &kept)
            && !kept.join(RECORD).is_file()
        {
            return Err(CacheError::io("create", &kept)(error));
        }
        self.point(name, &version, scratch)?;
        let file = kept.join(file_name(&fetched.member));
        Ok(Fetched {
            file,
            ..fetched.clone()
        })
    }

    /// Makes `name` point at a version and removes the one it pointed at.
    fn point(&self, name: &str, version: &str, scratch: &Scratch) -> Result<(), CacheError> {
        let link = self.root.join(name);
        let old = fs::read_link(&link).ok();
        let new = scratch.path.join("link");
        symlink(version, &new).map_err(CacheError::io("create", &new))?;
        fs::rename(&new, &link).map_err(CacheError::io("replace", &link))?;
        if let Some(old) = old.filter(|old| old != Path::new(version)) {
            // Left behind it only takes space.
            let _ = fs::remove_dir_all(self.root.join(old));
        }
        Ok(())
    }

    /// A directory for package lists that outlive a fetch, so that the next only asks for changes.
    pub(super) fn lists(&self, suite: &str) -> PathBuf {
        self.root.join("lists").join(suite)
    }

    /// A directory that goes when its owner does.
    pub(super) fn scratch(&self) -> Result<Scratch, CacheError> {
        fs::create_dir_all(&self.root).map_err(CacheError::io("create", &self.root))?;
        self.sweep();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{SCRATCH}{}-{number}", process::id());
        let path = self.root.join(name);
        fs::create_dir(&path).map_err(CacheError::io("create", &path))?;
        Ok(Scratch { path })
    }

    /// Removes what processes that were killed have left.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix(SCRATCH));
            let pid = pid.and_then(|rest| rest.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The file's name in the cache: its last component.
fn file_name(member: &str) -> &str {
    member.rsplit('/').next().unwrap_or(member)
}

/// A directory that is removed on drop.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(test: &str) -> Cache {
        let root = env::temp_dir().join(format!("xenlet-cache-{test}-{}", process::id()));
        let _ = fs::remove_dir_all(&root);
        Cache::at(root)
    }

    fn put(cache: &Cache, version: &str) -> Fetched {
        let scratch = cache.scratch().expect("a directory");
        let from = scratch.path.join("from");
        fs::write(&from, version).expect("written");
        let fetched = Fetched {
            package: "p".to_owned(),
            version: version.to_owned(),
            suite: "s".to_owned(),
            member: "boot/vmlinuz-1".to_owned(),
            file: PathBuf::new(),
        };
        cache.put("p", &from, &fetched, &scratch).expect("put")
    }

    #[test]
    fn what_is_put_is_got_and_a_newer_version_replaces_it() {
        let cache = cache("put");
        assert_eq!(cache.get("p"), None);
        for version in ["1:1.0", "1:1.0", "1:2.0"] {
            put(&cache, version);
            let got = cache.get("p").expect("there");
            assert_eq!(got.version, version);
            assert_eq!(fs::read_to_string(&got.file).expect("a file"), version);
        }
        let mut names: Vec<_> = fs::read_dir(&cache.root)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["p", "p@1:2.0"]);
        fs::remove_dir_all(&cache.root).expect("removed");
    }

    #[test]
    fn what_the_killed_leave_is_swept() {
        let cache = cache("sweep");
        let left = cache.root.join(".fetch-999999999-0");
        fs::create_dir_all(&left).expect("a directory");
        drop(cache.scratch().expect("a directory"));
        assert!(!left.exists());
        fs::remove_dir_all(&cache.root).expect("removed");
    }
}
