//! Fuzz targets: bytes in, and a panic where something does not hold. The same bodies run under
//! libFuzzer (`tests/fuzz`) and, replaying the corpus and mutating it, in `tests/tests/fuzz.rs`.
//!
//! [`image`] reads kernel files, [`requests`] decodes the requests of `mmu_update`, `mmuext_op`
//! and `multicall`, [`sequences`] runs whole sequences of hypercalls. To add one: a file and a row
//! of [`TARGETS`], a directory of inputs in `tests/corpus`, and three lines in `tests/fuzz`.

pub mod image;
pub mod mutate;
pub mod requests;
pub mod sequences;

use std::fs;
use std::path::{Path, PathBuf};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, the directory of its inputs, and its binary's name under libFuzzer.
    pub name: &'static str,
    /// Takes one input; panics if anything is wrong.
    pub run: fn(&[u8]),
    /// Bytes of an input that are looked at, at most.
    pub longest: usize,
}

/// THE table of targets.
pub const TARGETS: [Target; 3] = [
    Target {
        name: "image",
        run: image::image,
        longest: image::LONGEST,
    },
    Target {
        name: "requests",
        run: requests::requests,
        longest: requests::LONGEST,
    },
    Target {
        name: "sequences",
        run: sequences::sequences,
        longest: sequences::LONGEST,
    },
];

impl Target {
    /// The inputs that are kept, by name.
    ///
    /// # Panics
    /// If they cannot be read, or there are none.
    pub fn corpus(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name);
        let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} is empty", dir.display());
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, bytes)
        };
        paths.into_iter().map(read).collect()
    }
}
