//! `event_channel_op`: binding, sending, masking, closing; two-level only.

use super::{Answer, read, work, write};
use crate::domain::{Binding, Domain};
use hypercalls::event::*;
use hypercalls::{DOMID_SELF, Errno};
use zerocopy::{Immutable, IntoBytes};

/// Virtual interrupts that every vCPU has one of: timer, debug, profiling, performance counters
/// (`xen.h`). The others are the domain's and bound on vCPU 0.
const PER_VCPU_VIRQS: [u32; 4] = [VIRQ_TIMER, VIRQ_DEBUG, 7, 13];

/// One operation on a port.
pub(super) fn event_channel_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let at = args[1];
    match args[0] as u32 {
        EVTCHNOP_BIND_VIRQ => {
            let mut asked: BindVirq = read(dom, cpu, at)?;
            asked.port = bind_virq(dom, &asked)?;
            answer(dom, cpu, at, &asked, asked.port)
        }
        EVTCHNOP_BIND_IPI => {
            let mut asked: BindIpi = read(dom, cpu, at)?;
            vcpu(dom, asked.vcpu)?;
            dom.mm.charge(work::PORTS);
            asked.port = dom.events.bind(Binding::Ipi, asked.vcpu)?;
            answer(dom, cpu, at, &asked, asked.port)
        }
        EVTCHNOP_ALLOC_UNBOUND => {
            let mut asked: AllocUnbound = read(dom, cpu, at)?;
            if asked.dom != DOMID_SELF {
                return Err(Errno::EPERM);
            }
            dom.mm.charge(work::PORTS);
            asked.port = dom.events.bind(Binding::Unbound(asked.remote_dom), 0)?;
            answer(dom, cpu, at, &asked, asked.port)
        }
        EVTCHNOP_STATUS => {
            let asked: EvtchnStatus = read(dom, cpu, at)?;
            let status = status(dom, asked)?;
            write(dom, cpu, at, &status).map(|()| 0)
        }
        EVTCHNOP_CLOSE => close(dom, read::<PortArg>(dom, cpu, at)?.port),
        EVTCHNOP_SEND => send(dom, read::<PortArg>(dom, cpu, at)?.port),
        EVTCHNOP_UNMASK => unmask(dom, read::<PortArg>(dom, cpu, at)?.port),
        EVTCHNOP_BIND_VCPU => bind_vcpu(dom, &read(dom, cpu, at)?),
        EVTCHNOP_RESET => reset(dom, read(dom, cpu, at)?),
        // There is no other domain, and no hardware.
        EVTCHNOP_BIND_INTERDOMAIN => Err(Errno::ESRCH),
        EVTCHNOP_BIND_PIRQ => Err(Errno::EPERM),
        _ => Err(Errno::ENOSYS),
    }
}

fn bind_virq(dom: &mut Domain, asked: &BindVirq) -> Result<u32, Errno> {
    if asked.virq >= NR_VIRQS {
        return Err(Errno::EINVAL);
    }
    if asked.vcpu != 0 && !PER_VCPU_VIRQS.contains(&asked.virq) {
        return Err(Errno::EINVAL);
    }
    vcpu(dom, asked.vcpu)?;
    dom.mm.charge(work::PORTS);
    dom.events.bind_virq(asked.virq, asked.vcpu)
}

/// Tells the guest its new port; a port it cannot be told of is closed again.
fn answer<T: IntoBytes + Immutable>(
    dom: &mut Domain,
    cpu: usize,
    at: u64,
    told: &T,
    port: u32,
) -> Answer {
    let answered = write(dom, cpu, at, told);
    if answered.is_err() {
        dom.events.close(port);
    }
    answered.map(|()| 0)
}

fn status(dom: &Domain, mut asked: EvtchnStatus) -> Result<EvtchnStatus, Errno> {
    if asked.dom != DOMID_SELF {
        return Err(Errno::ESRCH);
    }
    let port = dom.events.port(asked.port).ok_or(Errno::EINVAL)?;
    asked.vcpu = port.vcpu;
    (asked.status, asked.detail) = match port.binding {
        Binding::Closed => (EVTCHNSTAT_CLOSED, [0; 2]),
        Binding::Host => (EVTCHNSTAT_INTERDOMAIN, [0; 2]),
        Binding::Unbound(peer) => (EVTCHNSTAT_UNBOUND, [u32::from(peer), 0]),
        Binding::Virq(virq) => (EVTCHNSTAT_VIRQ, [virq, 0]),
        Binding::Ipi => (EVTCHNSTAT_IPI, [0; 2]),
    };
    Ok(asked)
}

fn close(dom: &mut Domain, port: u32) -> Answer {
    let bound = dom.events.port(port).ok_or(Errno::EINVAL)?;
    if bound.binding == Binding::Closed {
        return Err(Errno::EINVAL);
    }
    dom.events.close(port);
    dom.clear_pending(port);
    Ok(0)
}

fn send(dom: &mut Domain, port: u32) -> Answer {
    match dom.events.port(port).ok_or(Errno::EINVAL)?.binding {
        Binding::Ipi => dom.notify(port),
        Binding::Host => {
            dom.mm.charge(work::SERVICE);
            dom.serve(port);
        }
        Binding::Unbound(_) => {}
        Binding::Closed | Binding::Virq(_) => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn unmask(dom: &mut Domain, port: u32) -> Answer {
    dom.events.port(port).ok_or(Errno::EINVAL)?;
    dom.unmask(port);
    Ok(0)
}

/// Moves a port; those that belong to one vCPU stay.
fn bind_vcpu(dom: &mut Domain, asked: &BindVcpu) -> Answer {
    vcpu(dom, asked.vcpu)?;
    match dom.events.port(asked.port).ok_or(Errno::EINVAL)?.binding {
        Binding::Closed | Binding::Ipi => return Err(Errno::EINVAL),
        Binding::Virq(virq) if PER_VCPU_VIRQS.contains(&virq) => return Err(Errno::EINVAL),
        Binding::Virq(_) | Binding::Host | Binding::Unbound(_) => {}
    }
    dom.events.set_vcpu(asked.port, asked.vcpu);
    Ok(0)
}

fn reset(dom: &mut Domain, domain: u16) -> Answer {
    if domain != DOMID_SELF {
        return Err(Errno::ESRCH);
    }
    let bound: Vec<u32> = dom.events.bound().collect();
    dom.mm
        .charge(work::PORTS + work::ELEMENT * bound.len() as u64);
    for port in bound {
        close(dom, port)?;
    }
    Ok(0)
}

fn vcpu(dom: &Domain, vcpu: u32) -> Result<(), Errno> {
    let known = (vcpu as usize) < dom.vcpus.len();
    known.then_some(()).ok_or(Errno::ENOENT)
}
