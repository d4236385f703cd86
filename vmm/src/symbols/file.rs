//! Symbols from a file beside the kernel: a System.map, or a vmlinux with its symbol table. And
//! whether they are this kernel's.

use super::{BANNER, Symbols, bytes_at, kallsyms};
use crate::image::{self, Image};
use hypercalls::Vaddr;
use object::{Object, ObjectSymbol, SymbolKind};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Symbols that cannot be had from a file, or are another kernel's.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read symbols from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is neither kind of file.
    #[error("{}: neither a System.map nor a vmlinux with symbols", .0.display())]
    NoSymbols(PathBuf),
    /// Its `linux_banner` is somewhere else.
    #[error("{}: symbols of another kernel: no banner at its linux_banner, {at}", path.display())]
    Banner {
        /// The file.
        path: PathBuf,
        /// Where it says the banner is.
        at: Vaddr,
    },
    /// Functions the kernel itself names are elsewhere.
    #[error(
        "{}: symbols of another kernel: {different} of {both} functions both name lie elsewhere, {name} first",
        path.display()
    )]
    Elsewhere {
        /// The file.
        path: PathBuf,
        /// How many differ.
        different: usize,
        /// How many both know.
        both: usize,
        /// The first of them.
        name: String,
    },
}

/// A file's symbols, all of them.
#[derive(Clone, Debug)]
pub struct FileSymbols {
    path: PathBuf,
    banner: Option<u64>,
    /// Its functions.
    pub functions: Symbols,
}

/// Reads a System.map or a vmlinux.
///
/// # Errors
/// If it is neither.
pub fn read(path: &Path) -> Result<FileSymbols, FileError> {
    let bytes = image::read(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let all = match bytes.starts_with(b"\x7fELF") {
        true => elf(&bytes),
        false => map(&bytes),
    };
    let all = all.filter(|all| !all.is_empty());
    let all = all.ok_or_else(|| FileError::NoSymbols(path.to_owned()))?;
    let banner = all.iter().find(|(.., name)| name == "linux_banner");
    let banner = banner.map(|&(at, ..)| at);
    let functions = Symbols::new(all.iter().map(|(at, kind, name)| (*at, *kind, &**name)));
    Ok(FileSymbols {
        path: path.to_owned(),
        banner,
        functions,
    })
}

type Symbol = (u64, u8, String);

/// Lines of address, type, name.
fn map(bytes: &[u8]) -> Option<Vec<Symbol>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let at = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = words.next().filter(|k| k.len() == 1)?.as_bytes()[0];
        Some((at, kind, words.next()?.to_owned()))
    };
    text.lines().map(line).collect()
}

fn elf(bytes: &[u8]) -> Option<Vec<Symbol>> {
    let file = object::File::parse(bytes).ok()?;
    let symbol = |s: object::Symbol<'_, '_>| {
        let kind = match (s.kind(), s.is_global()) {
            (SymbolKind::Text, true) => b'T',
            (SymbolKind::Text, false) => b't',
            _ => b'D',
        };
        Some((s.address(), kind, s.name().ok()?.to_owned()))
    };
    Some(file.symbols().filter_map(symbol).collect())
}

/// Whether a file's symbols are `image`'s: its banner lies where they say, and every function the
/// kernel names itself lies where both say.
///
/// # Errors
/// What gave them away.
pub fn check(file: &FileSymbols, image: &Image) -> Result<(), FileError> {
    if let Some(at) = file.banner {
        let there = bytes_at(image, Vaddr(at));
        if !there.is_some_and(|bytes| bytes.starts_with(BANNER)) {
            let path = file.path.clone();
            return Err(FileError::Banner {
                path,
                at: Vaddr(at),
            });
        }
    }
    match kallsyms::find(image) {
        Some(own) => same(file, &own),
        None => Ok(()),
    }
}

fn same(file: &FileSymbols, own: &Symbols) -> Result<(), FileError> {
    let at = |(at, name): &(u64, Box<str>)| (*at, name.clone());
    let listed: std::collections::HashSet<_> = file.functions.functions.iter().map(at).collect();
    let known: std::collections::HashSet<&str> = file
        .functions
        .functions
        .iter()
        .map(|(_, name)| &**name)
        .collect();
    let both = own
        .functions
        .iter()
        .filter(|(_, name)| known.contains(&**name));
    let both: Vec<_> = both.collect();
    let elsewhere: Vec<_> = both.iter().filter(|f| !listed.contains(&at(f))).collect();
    match elsewhere.first() {
        // A few have several names for an address.
        Some((_, name)) if elsewhere.len() * 100 > both.len() => Err(FileError::Elsewhere {
            path: file.path.clone(),
            different: elsewhere.len(),
            both: both.len(),
            name: name.to_string(),
        }),
        _ => Ok(()),
    }
}
