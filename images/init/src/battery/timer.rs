//! The process's interval timer: SIGALRM again and again.
#![allow(unsafe_code, reason = "setitimer has no safe wrapper here")]

/// Has SIGALRM come every `micros` microseconds of real time.
pub(super) fn every(micros: i64) -> nix::Result<()> {
    set(micros)
}

/// No more of them.
pub(super) fn stop() -> nix::Result<()> {
    set(0)
}

fn set(micros: i64) -> nix::Result<()> {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: micros,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    // SAFETY: reads one itimerval and writes nothing, the old one not being asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    nix::Error::result(set).map(drop)
}
