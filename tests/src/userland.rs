//! What Linux guests are given beyond the built-in initramfs: Debian's Python with its libraries,
//! fetched and unpacked as the emulated hosts are, never installed.
//!
//! In: the machine's own package client. Out: an initramfs as a file's bytes.

use crate::hosts::Skip;
use crate::hosts::apt::{self, Apt};
use crate::hosts::cache;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use xenlet::initramfs::Archive;

/// What is asked of the package client; libraries follow by dependency.
const PACKAGE: &str = "python3.11-minimal";
/// The name of the unpacked set; changes when what is in it does.
const SET: &str = "python-v1";
/// Parts of the packages that nothing here reads.
const UNUSED: [&str; 4] = [
    "usr/share",
    "usr/lib/x86_64-linux-gnu/gconv",
    "lib/x86_64-linux-gnu/gconv",
    "etc",
];

/// The directory with Python unpacked.
///
/// # Errors
/// Why this machine cannot have it.
pub fn python() -> Result<PathBuf, Skip> {
    let cache = cache::directory().ok_or(Skip::NoCacheDirectory)?;
    cache::filled(&cache, SET, fetch)
}

fn fetch(work: &Path) -> Result<PathBuf, Skip> {
    let apt = Apt::new(&work.join("apt"))?;
    let mut names = apt.closure(&[PACKAGE])?;
    names.retain(|name| name == PACKAGE || name.starts_with("lib") || name.starts_with("zlib"));
    let (debs, tree) = (work.join("debs"), work.join("tree"));
    apt.download(&names, &debs)?;
    for deb in fs::read_dir(&debs)? {
        apt::unpack(&deb?.path(), &tree)?;
    }
    for unused in UNUSED.map(|part| tree.join(part)) {
        if unused.is_dir() {
            fs::remove_dir_all(unused)?;
        }
    }
    Ok(tree)
}

/// Adds everything below `tree`, each directory before what it holds.
///
/// # Errors
/// If it cannot be read.
pub fn add(archive: Archive, tree: &Path) -> io::Result<Archive> {
    add_below(archive, tree, "")
}

fn add_below(mut archive: Archive, dir: &Path, prefix: &str) -> io::Result<Archive> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let (kind, at) = (entry.file_type()?, entry.path());
        archive = if kind.is_dir() {
            add_below(archive.dir(&path), &at, &format!("{path}/"))?
        } else if kind.is_symlink() {
            archive.link(&path, &fs::read_link(&at)?.to_string_lossy())
        } else {
            let mode = entry.metadata()?.permissions().mode();
            archive.file(&path, mode, &fs::read(&at)?)
        };
    }
    Ok(archive)
}
