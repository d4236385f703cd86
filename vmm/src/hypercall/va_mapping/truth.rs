//! What real Xen answers to each case of `update_va_mapping`, and the flushes it asks for.

use super::{update_va_mapping, update_va_mapping_otherdomain};
use crate::hypercall::mmu::Progress;
use crate::mm::fixture::*;
use hypercalls::mmu::*;
use hypercalls::{DOMID_IO, DOMID_XEN, Vaddr};

const EPERM: i64 = -1;
const ESRCH: i64 = -3;
const EFAULT: i64 = -14;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;

#[test]
fn va_mappings() {
    let good = va(FREE);
    for (case, at, val, flags, expected) in [
        ("good", good, pte(FREE, RO), 0, 0),
        ("unaligned", good.add(0x123), pte(FREE, RO), 0, 0),
        ("flags 3", good, pte(FREE, RO), 3, 0),
        ("the hypervisor's", Vaddr::from_l4_slot(257), 0, 0, EINVAL),
        ("non-canonical", Vaddr(1 << 47), 0, 0, EINVAL),
        ("no L4 entry", Vaddr(0x1000), 0, 0, EINVAL),
        ("no L2 entry", good.add(1 << 21), 0, 0, EINVAL),
        ("RW map of a table", good, pte(L1, RW), 1, EBUSY),
        (
            "bad mask",
            good,
            pte(FREE, RO),
            0x1000 | UVMF_INVLPG,
            EFAULT,
        ),
    ] {
        let mut machine = Machine::new();
        let rc = update_va_mapping(&mut machine.mmu(), [at.0, val, flags, 0, 0, 0]);
        assert_eq!(rc, Progress::Done(expected), "{case}");
        machine.check();
    }
}

#[test]
fn va_mapping_flushes() {
    let at = va(FREE);
    let multi = va(DATA).0;
    for (val, flags, vcpus, pages) in [
        (pte(FREE, RO), UVMF_NONE, 0, vec![]),
        (pte(FREE, RO), 3, 0, vec![]),
        (pte(FREE, RO), UVMF_TLB_FLUSH, 1, vec![]),
        (pte(FREE, RO), UVMF_TLB_FLUSH | UVMF_ALL, 3, vec![]),
        (pte(FREE, RO), UVMF_TLB_FLUSH | multi, 2, vec![]),
        (pte(FREE, RO), UVMF_INVLPG, 0, vec![(1, at)]),
        (pte(FREE, RO), UVMF_INVLPG | UVMF_ALL, 0, vec![(3, at)]),
        (pte(FREE, RO), UVMF_INVLPG | multi, 0, vec![(2, at)]),
        (pte(L1, RW), UVMF_TLB_FLUSH, 0, vec![]),
    ] {
        let mut machine = Machine::new();
        machine.poke(DATA.maddr(), 2);
        update_va_mapping(&mut machine.mmu(), [at.0, val, flags, 0, 0, 0]);
        let flush = machine.mm.take_effects().flush;
        assert_eq!(
            (flush.vcpus, flush.pages.to_vec()),
            (vcpus, pages),
            "{flags:#x}"
        );
    }
}

#[test]
fn va_mapping_for_other_domains() {
    for (domain, expected) in [
        (SELF, 0),
        (DOMID.into(), ESRCH),
        (99, ESRCH),
        (u64::from(DOMID_IO), EPERM),
        (u64::from(DOMID_XEN), EPERM),
    ] {
        let mut machine = Machine::new();
        let args = [va(FREE).0, pte(FREE, RO), 0, domain, 0, 0];
        let rc = update_va_mapping_otherdomain(&mut machine.mmu(), args);
        assert_eq!(rc, Progress::Done(expected), "{domain:#x}");
    }
}
