//! The initramfs of an emulated host: busybox, KVM's modules, init, and the command's program.
//!
//! In: the packages, the kind of host, the command. Out: a cpio archive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cpio::Archive;
use super::packages::Packages;
use super::{CACHE, Command, Kind};

const INIT: &str = include_str!("init.sh");

/// Why the command could not be packed: the harness's fault or its caller's.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file to pack cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program's libraries cannot be listed.
    #[error("cannot list the libraries of {path}: {source}")]
    Libraries {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A library the program names is not on this machine.
    #[error("{path} needs {library}, which is not on this machine")]
    NoLibrary {
        /// The program.
        path: PathBuf,
        /// The library.
        library: String,
    },
}

/// Packs everything; `mark` is what init puts before its lines on the console.
pub(super) fn build(
    packages: &Packages,
    kind: Kind,
    command: &Command,
    mark: &str,
) -> Result<Vec<u8>, PackError> {
    let mut archive = Archive::default();
    archive.directory("/dev");
    archive.file("/init", INIT.as_bytes());
    archive.file("/config", config(kind, mark).as_bytes());
    archive.file("/bin/busybox", &read(&packages.busybox())?);
    for module in ["irqbypass", "kvm", kind.module()] {
        archive.file(
            &format!("/modules/{module}.ko"),
            &read(&packages.module(module))?,
        );
    }
    // By its own name: busybox goes by it, and so may others.
    let name = command
        .binary
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let program = format!("/program/{name}");
    for (number, args) in command.runs.iter().enumerate() {
        let path = format!("/command/{number:03}");
        archive.file(&path, script(&program, args).as_bytes());
    }
    archive.file(&program, loadable(&read(&command.binary)?));
    for library in libraries(&command.binary)? {
        archive.file(&library, loadable(&read(Path::new(&library))?));
    }
    for (contents, there) in &command.files {
        archive.file(there, contents);
    }
    Ok(archive.finish())
}

fn config(kind: Kind, mark: &str) -> String {
    let (module, params, flush) = (kind.module(), kind.module_params(), kind.flush_function());
    format!("MARK={mark}\nMODULE={module}\nPARAMS='{params}'\nFLUSH={flush}\n")
}

fn script(program: &str, args: &[String]) -> String {
    let words: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
    let (program, words) = (quote(program), words.join(" "));
    format!(
        "#!/bin/busybox sh\nexport PATH=/bin HOME=/tmp XDG_CACHE_HOME={CACHE}\n\
         exec {program} {words}\n"
    )
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(|source| PackError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The libraries a program loads, its loader among them, as `ldd` names them.
fn libraries(binary: &Path) -> Result<Vec<String>, PackError> {
    let ran = std::process::Command::new("ldd")
        .arg(binary)
        .env("LC_ALL", "C")
        .output();
    let output = ran.map_err(|source| PackError::Libraries {
        path: binary.to_owned(),
        source,
    })?;
    // A static program makes ldd fail, and needs none.
    let listing = String::from_utf8_lossy(&output.stdout);
    let parsed = listing
        .lines()
        .filter_map(library)
        .collect::<Result<_, _>>();
    parsed.map_err(|library| PackError::NoLibrary {
        path: binary.to_owned(),
        library,
    })
}

/// One line of `ldd`: a path, nothing to pack, or the name of what is missing.
fn library(line: &str) -> Option<Result<String, String>> {
    let line = line.trim();
    let (name, target) = line.split_once(" => ").unwrap_or(("", line));
    if target.starts_with("not found") {
        return Some(Err(name.to_owned()));
    }
    let path = target.split(" (0x").next()?;
    path.starts_with('/').then(|| Ok(path.to_owned()))
}

/// The part of an ELF file that is loaded: debug information is large and stays behind. The
/// section headers go with it; the loader does not read them. Any other file is left whole.
fn loadable(file: &[u8]) -> &[u8] {
    const LOAD: u64 = 1;
    let field = |at: u64, bytes: u64| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let raw = file.get(at..at.checked_add(usize::try_from(bytes).ok()?)?)?;
        Some(
            raw.iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
        )
    };
    // e_phoff, e_phentsize and e_phnum of the ELF64 header; p_type, p_offset, p_filesz.
    let end = || -> Option<usize> {
        let (table, size, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
        let mut end = 0;
        for header in (0..count).map(|number| table + number * size) {
            if field(header, 4)? == LOAD {
                end = end.max(field(header + 8, 8)?.checked_add(field(header + 32, 8)?)?);
            }
        }
        usize::try_from(end).ok().filter(|&end| end > 0)
    };
    let is_elf64 = file.starts_with(b"\x7fELF\x02");
    is_elf64
        .then(end)
        .flatten()
        .and_then(|end| file.get(..end))
        .unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_lines() {
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(library("\tstatically linked"), None);
        let found = "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)";
        assert_eq!(
            library(found),
            Some(Ok("/lib/x86_64-linux-gnu/libc.so.6".to_owned()))
        );
        let loader = "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)";
        assert_eq!(
            library(loader),
            Some(Ok("/lib64/ld-linux-x86-64.so.2".to_owned()))
        );
        assert_eq!(
            library("\tlibx.so => not found"),
            Some(Err("libx.so".to_owned()))
        );
    }

    #[test]
    fn arguments_survive_the_shell() {
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn only_elf_files_are_cut() {
        assert_eq!(loadable(b"#!/bin/sh\n"), b"#!/bin/sh\n");
        assert_eq!(loadable(b"\x7fELF\x02short"), b"\x7fELF\x02short");
        let mut elf = vec![0; 64 + 56 + 100];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        (elf[32], elf[54], elf[56]) = (64, 56, 1);
        (elf[64], elf[64 + 8], elf[64 + 32]) = (1, 120, 30);
        assert_eq!(loadable(&elf).len(), 150);
    }
}
