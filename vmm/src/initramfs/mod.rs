//! The built-in initramfs: busybox and a shell on the console.
//!
//! Comes in: the cache, from which busybox's static binary comes. Goes out: an archive Linux can
//! be given as its initrd.

mod cpio;

pub use cpio::Archive;

use crate::images::{Cache, FetchError, Fetched, Package, fetch};
use std::path::PathBuf;
use thiserror::Error;

/// Under which name busybox is in the cache.
const BUSYBOX: &str = "busybox";
const RECIPE: &str = include_str!("../../../images/userland/busybox.toml");
/// Where init and the shell look.
const INITTAB: &[u8] = include_bytes!("inittab");
/// What init runs first.
const RCS: &[u8] = include_bytes!("rcS");
/// Directories, the mount points among them.
const DIRS: [&str; 7] = ["bin", "dev", "etc", "proc", "root", "sys", "tmp"];

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
    let fetched = cache.get(BUSYBOX);
    let fetched = fetched.ok_or_else(|| InitramfsError::NotFetched(image.to_owned()))?;
    let busybox = std::fs::read(&fetched.file).map_err(|source| InitramfsError::Read {
        path: fetched.file,
        source,
    })?;
    Ok(archive(&busybox))
}

fn archive(busybox: &[u8]) -> Vec<u8> {
    let dirs = DIRS
        .iter()
        .fold(Archive::new(), |archive, dir| archive.dir(dir));
    // Before init mounts anything it needs its console.
    dirs.device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, busybox)
        .link("bin/sh", "busybox")
        .link("init", "bin/busybox")
        .file("etc/inittab", 0o644, INITTAB)
        .file("etc/rcS", 0o755, RCS)
        .finish()
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
    fn busybox_is_init_and_shell() {
        let archive = archive(b"#!ELF");
        let text = String::from_utf8_lossy(&archive);
        for part in ["init\0", "bin/busybox", "#!ELF", "::sysinit:/etc/rcS"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
