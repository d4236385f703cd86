//! Faults the tables no longer know of: the CPU used a translation that was replaced meanwhile.

use super::Fault;
use super::deliver::{LOOP, note};
use crate::domain::{Domain, Regs};
use crate::mm::is_guest;
use crate::mm::walk::{Walk, walk};
use hypercalls::trap::{PFEC_FETCH, PFEC_WRITE};

/// #PF error code: a reserved bit was set.
const PFEC_RESERVED: u64 = 1 << 3;

/// Whether the tables allow what faulted. The stale translation is dropped then, and the
/// instruction simply runs again; one that goes on faulting so is the guest's after all.
pub(super) fn is_spurious(dom: &mut Domain, cpu: usize, regs: &Regs, fault: &Fault) -> bool {
    if fault.error & PFEC_RESERVED != 0 || !is_guest(fault.cr2) {
        return false;
    }
    let walked = walk(&dom.memory, dom.vcpus[cpu].root(), fault.cr2);
    if !walked.is_ok_and(|walk| allows(&walk, fault.error)) {
        return false;
    }
    if note(dom, cpu, regs, fault).is_err() || dom.vcpus[cpu].streak.times > LOOP / 10 {
        return false;
    }
    dom.mm.flush_page(1 << cpu, fault.cr2);
    dom.stats.counters.fixed_faults += 1;
    true
}

fn allows(walk: &Walk, error: u64) -> bool {
    let write = error & PFEC_WRITE == 0 || walk.writable;
    let fetch = error & PFEC_FETCH == 0 || !walk.nx;
    walk.user && write && fetch
}
