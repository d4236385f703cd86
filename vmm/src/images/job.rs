//! Runs one of the package client's programs: arguments → what it printed, or why it failed.

use super::fetch::FetchError;
use super::interrupt::Interrupt;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// How often a running program and the interrupt are looked at.
const POLL: Duration = Duration::from_millis(20);

/// What all programs of a fetch share.
#[derive(Clone, Copy)]
pub(super) struct Jobs<'a> {
    /// Where they run, and where their output goes.
    pub(super) dir: &'a Path,
    pub(super) interrupt: &'a Interrupt,
}

impl Jobs<'_> {
    /// Runs a program to its end; its output, if it succeeded.
    pub(super) fn run<S: AsRef<OsStr>>(
        &self,
        program: &'static str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String, FetchError> {
        let (out, err) = (self.dir.join("stdout"), self.dir.join("stderr"));
        let status = self
            .spawn(program, args, &out, &err)
            .and_then(|child| self.wait(child))
            .map_err(|source| FetchError::NoProgram { program, source })?;
        if self.interrupt.came() {
            return Err(FetchError::Interrupted);
        }
        let said = fs::read(if status.success() { out } else { err }).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        if status.success() {
            return Ok(said);
        }
        Err(FetchError::Program {
            program,
            status,
            why: reason(&said),
        })
    }

    fn spawn<S: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = S>,
        out: &PathBuf,
        err: &PathBuf,
    ) -> io::Result<Child> {
        Command::new(program)
            .args(args)
            .current_dir(self.dir)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(File::create(out)?)
            .stderr(File::create(err)?)
            .spawn()
    }

    fn wait(&self, mut child: Child) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.interrupt.came() {
                child.kill()?;
            }
            thread::sleep(POLL);
        }
    }
}

/// The lines that say what went wrong, as one.
fn reason(stderr: &str) -> String {
    let errors: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("W:") && !line.trim().is_empty())
        .map(|line| line.trim_start_matches("E: ").trim())
        .take(3)
        .collect();
    if errors.is_empty() {
        return "it did not say why".to_owned();
    }
    errors.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_errors_without_the_warnings() {
        assert_eq!(
            reason("W: old\nE: no such host\n\nE: gone\n"),
            "no such host; gone"
        );
        assert_eq!(reason(""), "it did not say why");
    }
}
