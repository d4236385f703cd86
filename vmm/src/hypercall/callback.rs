//! `set_callbacks`, `callback_op`: where the hypervisor enters the guest kernel.

use super::{Answer, read};
use crate::domain::{Domain, Entry};
use hypercalls::callback::*;
use hypercalls::trap::{FLAT_KERNEL_CS, NMI, TrapInfo};
use hypercalls::{Errno, Vaddr};

/// Event, failsafe and syscall entry points at once. As on Xen one that cannot be is left out,
/// and nobody is told.
pub(super) fn set_callbacks(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let [event, failsafe, syscall] = [args[0], args[1], args[2]].map(Vaddr);
    let callbacks = &mut dom.vcpus[cpu].callbacks;
    for (slot, address, masks_events) in [
        (&mut callbacks.event, event, true),
        (&mut callbacks.failsafe, failsafe, false),
        (&mut callbacks.syscall, syscall, false),
    ] {
        if address.is_canonical() {
            *slot = entry(address, masks_events);
        }
    }
    Ok(0)
}

/// One entry point.
pub(super) fn callback_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    match args[0] as u32 {
        CALLBACKOP_REGISTER => register(dom, cpu, &read(dom, cpu, args[1])?),
        CALLBACKOP_UNREGISTER => unregister(dom, cpu, read(dom, cpu, args[1])?),
        _ => Err(Errno::ENOSYS),
    }
}

fn register(dom: &mut Domain, cpu: usize, asked: &CallbackRegister) -> Answer {
    let address = Vaddr(asked.address);
    if !address.is_canonical() {
        return Err(Errno::EINVAL);
    }
    if asked.kind == CALLBACKTYPE_NMI {
        set_nmi(dom, cpu, address);
        return Ok(0);
    }
    let slot = slot(dom, cpu, asked.kind).ok_or(Errno::ENOSYS)?;
    // An upcall that does not mask upcalls would never end.
    let always = asked.kind == CALLBACKTYPE_EVENT;
    *slot = entry(address, always || asked.flags & CALLBACKF_MASK_EVENTS != 0);
    Ok(0)
}

/// Only an NMI callback can be taken back; a kernel cannot be without the others.
fn unregister(dom: &mut Domain, cpu: usize, kind: u16) -> Answer {
    if kind == CALLBACKTYPE_NMI {
        set_nmi(dom, cpu, Vaddr(0));
        return Ok(0);
    }
    slot(dom, cpu, kind).ok_or(Errno::ENOSYS)?;
    Err(Errno::EINVAL)
}

/// The NMI callback is the trap table's entry of its vector: a kernel may set either.
fn set_nmi(dom: &mut Domain, cpu: usize, address: Vaddr) {
    dom.vcpus[cpu].traps[usize::from(NMI)] = TrapInfo {
        vector: NMI,
        flags: TrapInfo::MASK_EVENTS,
        cs: FLAT_KERNEL_CS,
        pad: 0,
        address: address.0,
    };
}

fn slot(dom: &mut Domain, cpu: usize, kind: u16) -> Option<&mut Option<Entry>> {
    let callbacks = &mut dom.vcpus[cpu].callbacks;
    Some(match kind {
        CALLBACKTYPE_EVENT => &mut callbacks.event,
        CALLBACKTYPE_FAILSAFE => &mut callbacks.failsafe,
        CALLBACKTYPE_SYSCALL => &mut callbacks.syscall,
        CALLBACKTYPE_SYSENTER => &mut callbacks.sysenter,
        CALLBACKTYPE_SYSCALL32 if dom.host.syscall32 => &mut callbacks.syscall32,
        _ => return None,
    })
}

fn entry(address: Vaddr, masks_events: bool) -> Option<Entry> {
    (address.0 != 0).then_some(Entry {
        address,
        masks_events,
    })
}
