//! THE lists of system calls: what each duty needs, and why.

use super::Duty;
use seccompiler::{
    BackendError, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompRule,
};
use std::collections::BTreeMap;

/// `ioctl` requests of KVM: type 0xae in bits 8 to 15.
const KVM_TYPE: u64 = 0xae << 8;
const TYPE_MASK: u64 = 0xff << 8;

/// What every thread needs.
const COMMON: &[i64] = &[
    // Locks and waiting.
    libc::SYS_futex,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // The time, where the vDSO does not know it.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    // What is open: the console, the timers, the signals, the bells.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_timerfd_settime,
    // The allocator's; mapping is below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Kicks: `pthread_kill` and the way back from its handler.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // Hash tables' seeds.
    libc::SYS_getrandom,
    // The end of a thread, and of the process.
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What the thread beside the vCPUs needs.
const EVENTS: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_timerfd_gettime,
];

/// System calls by number: any of the rules must hold; without rules, any arguments will do.
pub(super) type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Everything a thread of this duty may do.
///
/// # Errors
/// If a rule cannot be expressed: none here.
pub(super) fn allowed(duty: Duty) -> Result<Calls, BackendError> {
    let own: &[i64] = match duty {
        Duty::Vcpu => &[],
        Duty::Events => EVENTS,
    };
    let mut calls: Calls = COMMON
        .iter()
        .chain(own)
        .map(|&nr| (nr, Vec::new()))
        .collect();
    let prot = Condition::new(2, Len::Dword, masked(libc::PROT_EXEC), 0)?;
    let anonymous = libc::MAP_ANONYMOUS;
    let flags = Condition::new(3, Len::Dword, masked(anonymous), anonymous as u64)?;
    calls.insert(libc::SYS_mmap, vec![rule([prot.clone(), flags])?]);
    calls.insert(libc::SYS_mprotect, vec![rule([prot])?]);
    let own_process = Condition::new(0, Len::Dword, Op::Eq, std::process::id().into())?;
    calls.insert(libc::SYS_tgkill, vec![rule([own_process])?]);
    calls.insert(libc::SYS_fcntl, requests(&FCNTL)?);
    let mut ioctls = requests(&IOCTL)?;
    if duty == Duty::Vcpu {
        let kvm = Condition::new(1, Len::Dword, Op::MaskedEq(TYPE_MASK), KVM_TYPE)?;
        ioctls.push(rule([kvm])?);
    }
    calls.insert(libc::SYS_ioctl, ioctls);
    Ok(calls)
}

/// Questions about descriptors, and a second number for one.
const FCNTL: [u64; 3] = [
    libc::F_GETFD as u64,
    libc::F_GETFL as u64,
    libc::F_DUPFD_CLOEXEC as u64,
];

/// Questions to a terminal, for the progress bar; and its settings, which a thread that panics puts
/// back.
const IOCTL: [u64; 3] = [libc::TCGETS, libc::TIOCGWINSZ, libc::TCSETS];

fn masked(bits: i32) -> Op {
    Op::MaskedEq(bits as u64)
}

/// All of the conditions.
fn rule<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.to_vec())
}

/// A rule for each value of the second argument.
fn requests(values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let one = |&value| rule([Condition::new(1, Len::Dword, Op::Eq, value)?]);
    values.iter().map(one).collect()
}
