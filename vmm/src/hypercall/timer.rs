//! `set_timer_op`: the one-shot timer.

use super::Answer;
use crate::domain::Domain;

/// Sets the timer to a system time in ns; 0 stops it. A time that is past expires at once, so
/// that the upcall comes on return from this very hypercall.
pub(super) fn set_timer_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    arm(dom, cpu, (args[0] != 0).then_some(args[0]));
    Ok(0)
}

/// Sets or stops a vCPU's one-shot timer.
pub(super) fn arm(dom: &mut Domain, cpu: usize, deadline: Option<u64>) {
    dom.vcpus[cpu].timers.singleshot = deadline;
    if deadline.is_some() {
        let now = dom.clock.now();
        dom.expire_timers(now);
    }
}
