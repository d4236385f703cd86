//! The clocks: never back, on whichever CPU they are read; neither still nor too fast.
#![allow(
    unsafe_code,
    reason = "clock_gettime has no wrapper that names the raw system call"
)]

use super::outcome::{Outcome, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::thread;
use std::time::Duration;

/// Readings on each CPU before the next is gone to, and how often all are gone round.
const READINGS: usize = 2000;
const ROUNDS: usize = 20;
/// What is slept, and how much longer a sleep may seem where the host is busy.
const NAP: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(20);

/// All of it.
pub(super) fn check() -> Outcome {
    never_back()?;
    agree()?;
    advance()
}

/// The vdso's, read on each CPU in turn.
fn never_back() -> Outcome {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu) == Ok(true))
        .collect();
    let mut last = monotonic()?;
    for &cpu in (0..ROUNDS).flat_map(|_| &cpus) {
        pin(cpu)?;
        for _ in 0..READINGS {
            let now = monotonic()?;
            ensure(now >= last, || {
                format!("CPU {cpu}: monotonic time went from {last:?} to {now:?}")
            })?;
            last = now;
        }
    }
    Ok(())
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &only)
}

/// The vdso's and the kernel's are one clock: a reading of one lies between two of the other.
fn agree() -> Outcome {
    for _ in 0..READINGS {
        let (before, asked, after) = (monotonic()?, from_kernel()?, monotonic()?);
        ensure(before <= asked && asked <= after, || {
            format!("the kernel says {asked:?} between {before:?} and {after:?}")
        })?;
    }
    Ok(())
}

/// A nap takes its time by both clocks.
fn advance() -> Outcome {
    for id in [ClockId::CLOCK_MONOTONIC, ClockId::CLOCK_REALTIME] {
        let before = Duration::from(clock_gettime(id)?);
        thread::sleep(NAP);
        let slept = Duration::from(clock_gettime(id)?).saturating_sub(before);
        ensure(slept >= NAP && slept < LATE, || {
            format!("{NAP:?} of sleep were {slept:?} by {id}")
        })?;
    }
    Ok(())
}

fn monotonic() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from)
}

/// Past the vdso.
fn from_kernel() -> nix::Result<Duration> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec, and this is one.
    let done =
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    nix::Error::result(done)?;
    Ok(Duration::from(nix::sys::time::TimeSpec::from(now)))
}
