//! The cache directory: filled by one process at a time, complete or absent.
//!
//! In: where the user keeps caches, and how to fill a directory. Out: the path of a filled one.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;

/// `$XDG_CACHE_HOME/xenlet/hosts`, or the same under `~/.cache`.
pub(crate) fn directory() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("xenlet").join("hosts"))
}

/// The directory `name` of the cache, filled by `fill` unless somebody has done so already.
///
/// `fill` works in a directory of its own that is renamed when it is done: a reader never sees
/// half of it, and a writer that dies leaves nothing under the name.
pub(crate) fn filled<E: From<io::Error>>(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<PathBuf, E>,
) -> Result<PathBuf, E> {
    let ready = cache.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    fs::create_dir_all(cache)?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    if !ready.is_dir() {
        // Whoever had the lock before and died in it.
        Scratch::clear(cache)?;
        let scratch = Scratch::new_in(cache)?;
        let filled = fill(scratch.path())?;
        fs::rename(filled, &ready)?;
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_nothing_and_a_good_one_is_done_once() {
        let scratch = Scratch::new_in(&env::temp_dir()).unwrap();
        let cache = scratch.join("cache");
        let bad = filled(&cache, "v", |_| Err(io::Error::other("no network")));
        assert!(bad.is_err());
        assert!(!cache.join("v").exists());
        let good = |dir: &Path| {
            fs::create_dir(dir.join("in"))?;
            Ok::<_, io::Error>(dir.join("in"))
        };
        assert_eq!(filled(&cache, "v", good).unwrap(), cache.join("v"));
        let again = filled(&cache, "v", |_| Err(io::Error::other("asked twice")));
        assert_eq!(again.unwrap(), cache.join("v"));
        // The lock and the filled directory; no leftovers.
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    }
}
