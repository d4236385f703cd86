//! `sched_op`: giving the CPU away, waiting, ending.

use super::{Answer, read, work};
use crate::domain::{Domain, State, Step, Wait};
use hypercalls::Errno;
use hypercalls::event::NR_EVENT_CHANNELS;
use hypercalls::sched::*;

/// What a guest that asks to be suspended is told when it was not: it goes on as it was.
const SUSPEND_CANCELLED: i64 = 1;

/// Yields, blocks, polls or shuts down.
pub(super) fn sched_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Result<Answer, Step> {
    match args[0] as u32 {
        SCHEDOP_YIELD => Err(Step::Yield),
        SCHEDOP_BLOCK => block(dom, cpu),
        SCHEDOP_POLL => match wanted(dom, cpu, args[1]) {
            Ok(wait) => poll(dom, cpu, wait),
            Err(errno) => Ok(Err(errno)),
        },
        SCHEDOP_SHUTDOWN => match read::<SchedShutdown>(dom, cpu, args[1]) {
            Ok(SchedShutdown {
                reason: SHUTDOWN_SUSPEND,
            }) => Ok(Ok(SUSPEND_CANCELLED)),
            Ok(asked) => Err(Step::Shutdown(asked.reason)),
            Err(errno) => Ok(Err(errno)),
        },
        _ => Ok(Err(Errno::ENOSYS)),
    }
}

/// Unmasks upcalls and waits for one; one that is due already ends the wait.
fn block(dom: &mut Domain, cpu: usize) -> Result<Answer, Step> {
    dom.mask_upcalls(cpu, false);
    wait(dom, cpu, Wait::Event)
}

fn wanted(dom: &mut Domain, cpu: usize, at: u64) -> Result<Wait, Errno> {
    let asked: SchedPoll = read(dom, cpu, at)?;
    if asked.nr_ports > SCHED_POLL_MAX_PORTS {
        return Err(Errno::EINVAL);
    }
    dom.mm.charge(work::ELEMENT * u64::from(asked.nr_ports));
    let mut ports = Vec::with_capacity(asked.nr_ports as usize);
    for i in 0..u64::from(asked.nr_ports) {
        let port: u32 = read(dom, cpu, asked.ports.wrapping_add(i * 4))?;
        if port >= NR_EVENT_CHANNELS {
            return Err(Errno::EINVAL);
        }
        ports.push(port);
    }
    let until = (asked.timeout != 0).then_some(asked.timeout);
    Ok(Wait::Poll { ports, until })
}

fn poll(dom: &mut Domain, cpu: usize, wait_for: Wait) -> Result<Answer, Step> {
    wait(dom, cpu, wait_for)
}

fn wait(dom: &mut Domain, cpu: usize, wait: Wait) -> Result<Answer, Step> {
    let now = dom.clock.now();
    dom.expire_timers(now);
    let timeout = match wait {
        Wait::Poll { until, .. } => until,
        Wait::Event => None,
    };
    dom.vcpus[cpu].wait = Some(wait);
    if dom.is_ready(cpu, now) {
        dom.vcpus[cpu].wait = None;
        return Ok(Ok(0));
    }
    dom.enter_state(cpu, State::Blocked);
    let until = dom.next_timer(cpu).into_iter().chain(timeout).min();
    Err(Step::Block { until })
}
