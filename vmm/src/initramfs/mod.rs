//! The built-in initramfs: our own first process (`images/init`), busybox, a shell on the console.
//!
//! Comes in: the cache, from which busybox's static binary comes. Goes out: an archive Linux can
//! be given as its initrd.

mod cpio;

pub use cpio::Archive;

use crate::images::{Cache, FetchError, Fetched, Package, fetch};
use std::path::PathBuf;
use thiserror::Error;

/// The first process; what it does is `xenlet.init=`'s on the kernel's command line.
const INIT: &[u8] = include_bytes!(env!("GUEST_INIT"));
/// Under which name busybox is in the cache.
const BUSYBOX: &str = "busybox";
const RECIPE: &str = include_str!("../../../images/userland/busybox.toml");
/// Where busybox's init looks.
const INITTAB: &[u8] = include_bytes!("inittab");
/// What it runs first.
const RCS: &[u8] = include_bytes!("rcS");
/// Directories, the mount points among them.
const DIRS: [&str; 8] = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"];

/// The initramfs cannot be made.
#[derive(Debug, Error)]
pub enum InitramfsError {
    /// There is no busybox yet.
    #[error("the built-in initramfs is not there: run `xenlet images fetch {0}`, or give --initrd")]
    NotFetched(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Fetches what the initramfs is made of.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_parts(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<Fetched, FetchError> {
    fetch(cache, BUSYBOX, &package(), progress)
}

/// Makes the initramfs; `image` is named in the advice if something lacks.
///
/// # Errors
/// If busybox was never fetched or cannot be read.
pub fn build(cache: &Cache, image: &str) -> Result<Vec<u8>, InitramfsError> {
    Ok(with_busybox(&busybox(cache, image)?).finish())
}

/// Busybox's bytes; `image` is named in the advice if it was never fetched.
///
/// # Errors
/// As [`build`].
pub fn busybox(cache: &Cache, image: &str) -> Result<Vec<u8>, InitramfsError> {
    let fetched = cache.get(BUSYBOX);
    let fetched = fetched.ok_or_else(|| InitramfsError::NotFetched(image.to_owned()))?;
    std::fs::read(&fetched.file).map_err(|source| InitramfsError::Read {
        path: fetched.file,
        source,
    })
}

/// The first process alone: enough for whatever it does without a shell. More can be added.
#[must_use]
pub fn bare() -> Archive {
    let dirs = DIRS
        .iter()
        .fold(Archive::new(), |archive, dir| archive.dir(dir));
    // Before init mounts anything it needs its console.
    dirs.device("dev/console", (5, 1)).file("init", 0o755, INIT)
}

/// The built-in one, to which more can be added.
#[must_use]
pub fn with_busybox(busybox: &[u8]) -> Archive {
    bare()
        .file("bin/busybox", 0o755, busybox)
        .link("bin/sh", "busybox")
        .file("etc/inittab", 0o644, INITTAB)
        .file("etc/rcS", 0o755, RCS)
}

fn package() -> Package {
    toml::from_str(RECIPE).expect("the recipe is part of the program and tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_readable() {
        assert_eq!(package().name, "^busybox-static$");
    }

    #[test]
    fn init_is_ours_and_busybox_the_shell() {
        let archive = with_busybox(b"#!ELF").finish();
        let text = String::from_utf8_lossy(&archive);
        for part in ["init\0", "bin/busybox", "#!ELF", "::sysinit:/etc/rcS"] {
            assert!(text.contains(part), "{part}");
        }
        assert!(INIT.starts_with(b"\x7fELF"));
    }
}
