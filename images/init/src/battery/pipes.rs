//! A shell's work: hundreds of pipelines, each of processes made, run and gone.

use super::outcome::{NotOk, Outcome, ensure};
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many, unless the environment says otherwise: Linux hands process 1 what it does not know of
/// its command line.
const PIPELINES: usize = 600;
const VARIABLE: &str = "XENLET_PIPELINES";
/// Its shell runs where there is one; elsewhere the machine's own.
const BUSYBOX: &str = "/bin/busybox";

/// Every pipeline's output must be there, in order.
pub(super) fn check() -> Outcome {
    let busybox = Path::new(BUSYBOX).exists();
    let (shell, tr) = match busybox {
        true => (BUSYBOX, "/bin/busybox tr"),
        false => ("/bin/sh", "tr"),
    };
    if !Path::new(shell).exists() {
        return Err(NotOk::Skipped("there is no shell".into()));
    }
    let said = env::var(VARIABLE).ok().and_then(|n| n.parse().ok());
    let pipelines: usize = said.unwrap_or(PIPELINES);
    let script = format!(
        "i=0; while [ $i -lt {pipelines} ]; do echo line $i | {tr} a-z A-Z; i=$((i+1)); done"
    );
    let mut command = Command::new(shell);
    let command = if busybox {
        command.arg("sh")
    } else {
        &mut command
    };
    let output = command
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let wrong = (0..pipelines)
        .zip(text.lines().chain(std::iter::repeat("nothing")))
        .find(|(i, line)| *line != format!("LINE {i}"));
    if let Some((i, line)) = wrong {
        return ensure(false, || format!("pipeline {i} gave {line:?}"));
    }
    ensure(output.status.success(), || {
        format!("the shell: {}", output.status)
    })
}
