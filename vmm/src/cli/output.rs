//! Where a result goes: stdout, or a file that is there whole or not at all.

use super::Failure;
use anyhow::{Context, anyhow};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use xenlet::report::Format;

/// The form and the place of a result.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) format: Format,
    file: Option<PathBuf>,
}

impl Output {
    /// Checks that the file could be written, before anything runs for it.
    pub(super) fn new(format: Format, file: Option<PathBuf>) -> Result<Output, Failure> {
        if let Some(file) = &file {
            writable(file).map_err(Failure::usage)?;
        }
        Ok(Output { format, file })
    }

    /// Whether a file was asked for.
    pub(super) fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Refuses ktap, for results that are no tests.
    pub(super) fn no_ktap(&self, command: &str) -> Result<(), Failure> {
        match self.format {
            Format::Ktap => Err(Failure::usage(anyhow!(
                "--format ktap is for lab and compare, not for {command}"
            ))),
            Format::Markdown => self.no_markdown(command),
            _ => Ok(()),
        }
    }

    /// Refuses markdown, for all but comparisons of measurements.
    pub(super) fn no_markdown(&self, command: &str) -> Result<(), Failure> {
        match self.format {
            Format::Markdown => Err(Failure::usage(anyhow!(
                "--format markdown is for compare of measurements, not for {command}"
            ))),
            _ => Ok(()),
        }
    }

    /// Writes the result.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let written = match &self.file {
            Some(file) => replace(file, text),
            None => to_stdout(text).context("cannot write to stdout"),
        };
        written.map_err(Failure::usage)
    }
}

/// A line (or several) to stderr. What nobody can be told, changes nothing.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A reader that has seen enough is no failure.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn writable(file: &Path) -> anyhow::Result<()> {
    let said = || format!("cannot write {}", file.display());
    let parent = parent(file);
    if file.is_dir() || file.file_name().is_none() {
        return Err(anyhow!("it is a directory")).with_context(said);
    }
    if !parent.is_dir() {
        return Err(anyhow!("{} is not a directory", parent.display())).with_context(said);
    }
    Ok(())
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Writes `file` anew: a temporary beside it, renamed once it is whole. What is there and is no
/// regular file (a pipe, /dev/null) is written to directly.
pub(super) fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let special = fs::metadata(file).is_ok_and(|m| !m.is_file());
    let written = match special {
        true => OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut f| f.write_all(text.as_bytes())),
        false => replace_regular(file, text),
    };
    written.with_context(|| format!("cannot write {}", file.display()))
}

fn replace_regular(file: &Path, text: &str) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = parent(file).join(format!(".{name}.{}.tmp", std::process::id()));
    let written = fill(&temporary, text).and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        // It may not even exist; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn fill(file: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("xenlet-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a scratch directory");
        dir
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = scratch("out");
        let file = dir.join("r.json");
        for text in ["first", "second"] {
            replace(&file, text).expect("writable");
            assert_eq!(fs::read_to_string(&file).ok().as_deref(), Some(text));
        }
        assert_eq!(fs::read_dir(&dir).expect("readable").count(), 1);
        fs::remove_dir_all(&dir).expect("removable");
    }

    #[test]
    fn a_place_that_cannot_be_is_refused_before_the_run() {
        let bad = |file: &str| Output::new(Format::Json, Some(file.into())).expect_err("bad");
        assert_eq!(
            format!("{:#}", bad("/nonexistent/r.json").error),
            "cannot write /nonexistent/r.json: /nonexistent is not a directory"
        );
        assert_eq!(
            format!("{:#}", bad("/tmp").error),
            "cannot write /tmp: it is a directory"
        );
        assert!(replace(Path::new("/dev/null"), "text").is_ok());
    }
}
