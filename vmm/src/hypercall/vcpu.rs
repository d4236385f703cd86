//! `vcpu_op`: bringing vCPUs up and down, their timers, where their records are kept.

use super::initialise::initialise;
use super::timer::arm;
use super::{Answer, read, write};
use crate::domain::{Domain, Periodic, State, Step};
use hypercalls::sched::SHUTDOWN_POWEROFF;
use hypercalls::shared_info::VcpuInfo;
use hypercalls::vcpu::*;
use hypercalls::{Errno, Mfn, PAGE_SIZE, Vaddr};

/// One operation on vCPU `args[1]`.
pub(super) fn vcpu_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Result<Answer, Step> {
    let target = args[1] as u32 as usize;
    if target >= dom.vcpus.len() {
        return Ok(Err(Errno::ENOENT));
    }
    match args[0] as u32 {
        VCPUOP_DOWN => down(dom, cpu, target),
        command => Ok(operate(dom, cpu, target, command, args[2])),
    }
}

fn operate(dom: &mut Domain, cpu: usize, target: usize, command: u32, arg: u64) -> Answer {
    let own = target == cpu;
    match command {
        VCPUOP_INITIALISE => initialise(dom, cpu, target, arg),
        VCPUOP_UP => up(dom, target),
        VCPUOP_IS_UP => Ok(i64::from(dom.vcpus[target].up)),
        VCPUOP_GET_RUNSTATE_INFO => {
            let info = dom.vcpus[target].runstate.info();
            write(dom, cpu, arg, &info).map(|()| 0)
        }
        VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA => {
            let area = Vaddr(read(dom, cpu, arg)?);
            write(dom, cpu, area.0, &dom.vcpus[target].runstate.info())?;
            dom.vcpus[target].runstate.area = Some(area);
            Ok(0)
        }
        VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA => {
            let area = Vaddr(read(dom, cpu, arg)?);
            let info = dom.vcpus[target].info;
            let record: VcpuInfo = dom.memory.read_obj(info).map_err(|_| Errno::EFAULT)?;
            write(dom, cpu, area.0, &record.time)?;
            dom.vcpus[target].time_area = Some(area);
            Ok(0)
        }
        VCPUOP_SEND_NMI => {
            dom.vcpus[target].nmi.pending = true;
            dom.kick(target);
            Ok(0)
        }
        VCPUOP_REGISTER_VCPU_INFO => register_info(dom, cpu, target, read(dom, cpu, arg)?),
        VCPUOP_SET_PERIODIC_TIMER => {
            let SetPeriodicTimer { period_ns } = read(dom, cpu, arg)?;
            set_periodic(dom, target, period_ns)
        }
        VCPUOP_STOP_PERIODIC_TIMER => {
            dom.vcpus[target].timers.periodic = None;
            Ok(0)
        }
        VCPUOP_SET_SINGLESHOT_TIMER if own => set_singleshot(dom, cpu, read(dom, cpu, arg)?),
        VCPUOP_STOP_SINGLESHOT_TIMER if own => {
            arm(dom, cpu, None);
            Ok(0)
        }
        VCPUOP_SET_SINGLESHOT_TIMER | VCPUOP_STOP_SINGLESHOT_TIMER => Err(Errno::EINVAL),
        _ => Err(Errno::ENOSYS),
    }
}

/// Stops a vCPU; with the last one the domain ends.
fn down(dom: &mut Domain, cpu: usize, target: usize) -> Result<Answer, Step> {
    let others = dom
        .vcpus
        .iter()
        .enumerate()
        .any(|(i, v)| i != target && v.up);
    if !others {
        return Err(Step::Shutdown(SHUTDOWN_POWEROFF));
    }
    dom.vcpus[target].up = false;
    if target == cpu {
        dom.enter_state(cpu, State::Offline);
        return Err(Step::Down);
    }
    dom.kick(target);
    Ok(Ok(0))
}

fn up(dom: &mut Domain, target: usize) -> Answer {
    let v = &mut dom.vcpus[target];
    if !v.initialised {
        return Err(Errno::EINVAL);
    }
    v.up = true;
    dom.kick(target);
    Ok(0)
}

fn set_periodic(dom: &mut Domain, target: usize, period: u64) -> Answer {
    if period < MIN_PERIOD_NS {
        return Err(Errno::EINVAL);
    }
    let next = dom.clock.now().saturating_add(period);
    dom.vcpus[target].timers.periodic = Some(Periodic { period, next });
    dom.kick(target);
    Ok(0)
}

/// A time that is past is an event at once: Xen 4.17 no longer looks at the flag that asks for
/// an error instead.
fn set_singleshot(dom: &mut Domain, cpu: usize, asked: SetSingleshotTimer) -> Answer {
    arm(dom, cpu, Some(asked.timeout_abs_ns));
    Ok(0)
}

/// Moves a `vcpu_info`: copied, and everything marked pending so that nothing is lost on the way.
fn register_info(dom: &mut Domain, cpu: usize, target: usize, asked: RegisterVcpuInfo) -> Answer {
    let offset = u64::from(asked.offset);
    let size = size_of::<VcpuInfo>() as u64;
    let v = &dom.vcpus[target];
    if offset > PAGE_SIZE - size || !offset.is_multiple_of(8) || v.info_registered {
        return Err(Errno::EINVAL);
    }
    if target != cpu && v.up {
        return Err(Errno::EINVAL);
    }
    let old: VcpuInfo = dom.memory.read_obj(v.info).map_err(|_| Errno::EFAULT)?;
    let new = VcpuInfo {
        evtchn_upcall_pending: 1,
        evtchn_pending_sel: u64::MAX,
        ..old
    };
    let frame = Mfn(asked.mfn);
    // The reference is kept for ever: the frame stays memory, never a table.
    let held = dom.mm.get_writable(frame);
    held.map_err(|refusal| refusal.errno())?;
    let at = frame.maddr().add(offset);
    dom.memory.write_obj(at, &new).map_err(|_| Errno::EFAULT)?;
    let v = &mut dom.vcpus[target];
    (v.info, v.info_registered) = (at, true);
    Ok(0)
}
