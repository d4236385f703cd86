//! Hypercalls of an open operation: which kind, in which task, from where. See
//! `crate::attribution`; while none is open this is one test.

use super::read;
use crate::attribution::{Kind, Trapped};
use crate::domain::{Domain, Regs};
use crate::mm::GuestView;
use hypercalls::Nr;
use hypercalls::mmu::MmuextOp;

/// What is to be known of a trap before it is dispatched; `None` if no operation is open.
pub(super) fn trapped(
    dom: &mut Domain,
    cpu: usize,
    (nr, args): (u64, &[u64; 6]),
    regs: &Regs,
) -> Option<Trapped> {
    if !dom.attribution.is_open() {
        return None;
    }
    let kind = kind(dom, cpu, nr, args);
    let (task, now) = (dom.vcpus[cpu].kernel_sp, dom.clock.now());
    let view = GuestView {
        mem: &dom.memory,
        root: dom.vcpus[cpu].kernel_base,
    };
    let attribution = &mut dom.attribution;
    attribution.trapped(kind, task, now, |a| a.chain(&view, regs))
}

/// A multicall's entry.
pub(super) fn entry(dom: &mut Domain, cpu: usize, nr: u64, args: &[u64; 6]) {
    if dom.attribution.is_open() {
        let kind = kind(dom, cpu, nr, args);
        dom.attribution.entry(kind);
    }
}

/// The operation is told where there is one only.
fn kind(dom: &Domain, cpu: usize, nr: u64, args: &[u64; 6]) -> Kind {
    let single = nr == Nr::MmuextOp as u64 && args[1] as u32 == 1;
    let request = single.then(|| read::<MmuextOp>(dom, cpu, args[0]).ok());
    Kind::call(nr, request.flatten().map(|op| op.cmd))
}
