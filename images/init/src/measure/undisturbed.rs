//! Keeps the scheduler out of what is measured: a switch in the middle of an operation flushes its
//! batch, and the switch's own hypercalls count where all tasks' do.
#![allow(unsafe_code, reason = "a system call without a wrapper")]

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::io;
use std::time::Duration;

/// Above every ordinary task, kernel threads too; below those that stop the machine.
const PRIORITY: libc::c_int = 1;

/// Longer than a tick of the kernel's (4 ms).
const SETTLE: Duration = Duration::from_millis(5);

/// This process, and those it forks, on one CPU, from which no ordinary task takes it. They still
/// wait for one another, and then others run.
pub(super) fn undisturbed() {
    if let Err(e) = one_cpu() {
        println!("measure: not kept on one CPU: {e}");
    }
    if let Err(e) = first() {
        println!("measure: not before other tasks: {e}");
    }
}

/// What the preparation left for kernel threads to do is done before the operation: kept waiting,
/// they are let in later, in the middle of it.
pub(super) fn let_others_run() {
    std::thread::sleep(SETTLE);
}

fn one_cpu() -> nix::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

/// musl has the call's name only.
fn first() -> io::Result<()> {
    let (fifo, priority) = (libc::SCHED_FIFO, &PRIORITY);
    // SAFETY: reads a `struct sched_param`, which is its priority alone.
    match unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, fifo, &raw const *priority) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
