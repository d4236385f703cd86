//! A directory of one run: unique, and gone when the run is.
//!
//! In: nothing. Out: a path that no other run, thread or process has. A signal removes it too.

use super::live;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the names of these directories begin with.
const PREFIX: &str = "xenlet-hosts-";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The directory; dropped, it is removed with all it holds.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new_in(parent: &Path) -> io::Result<Self> {
        live::directory(|| create_in(parent)).map(Self)
    }

    /// Removes what others have left in `parent`, where none may be at work.
    pub(super) fn clear(parent: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(parent)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The directory's own name, as unique as it.
    pub(super) fn name(&self) -> String {
        self.0
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing better to do with an error here; the directory is in the machine's temporary one.
        let _ = std::fs::remove_dir_all(&self.0);
        live::forget_directory(&self.0);
    }
}

fn create_in(parent: &Path) -> io::Result<PathBuf> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
