//! Runs one check as a process: its name → its verdict, whatever becomes of it.

use super::outcome::Verdict;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a check may take: many times what the slowest takes where every fork traps.
const LIMIT: Duration = Duration::from_secs(600);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(2);

pub(super) fn run(name: &str) -> Verdict {
    supervised(name).unwrap_or_else(|e| Verdict::Failed(format!("cannot be run: {e}")))
}

fn supervised(name: &str) -> io::Result<Verdict> {
    let mut child = Command::new("/proc/self/exe")
        .args(["check", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let status = wait(&mut child, Instant::now() + LIMIT)?;
    // It, if it hangs, and whatever it has left: no such group is fine.
    let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    let Some(status) = status else {
        child.wait()?;
        return Ok(Verdict::Failed(format!("no end within {LIMIT:?}")));
    };
    let mut said = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut said)?;
    }
    Ok(verdict(status, &said))
}

fn wait(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() > until {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

fn verdict(status: ExitStatus, said: &str) -> Verdict {
    match (status.signal(), status.success()) {
        (Some(signal), _) => Verdict::Failed(format!("signal {signal}")),
        (None, false) => Verdict::Failed(format!("{status}")),
        (None, true) => Verdict::parse(said.lines().last().unwrap_or_default()),
    }
}
