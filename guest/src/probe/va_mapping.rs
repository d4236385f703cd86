//! `update_va_mapping` and its sibling for other domains; what the CPU makes of the result.

use super::fixture::{EMPTY, RO, RW, SELF, URW, pte};
use super::{Probe, row, unprivileged};
use crate::machine::Access;
use hypercalls::mmu::{UVMF_ALL, UVMF_INVLPG, UVMF_TLB_FLUSH};
use hypercalls::{DOMID_IO, DOMID_XEN, Nr, Vaddr};

const DOM0_FOREIGN: &str = "the first domain has rights over others' frames";

pub(super) const ROWS: [Probe; 23] = [
    row("va_good", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), 0, EMPTY)
    }),
    row("va_user_rw", |f| {
        f.map(f.va(EMPTY), pte(f.data(), URW), 0, EMPTY)
    }),
    row("va_unaligned", |f| {
        f.map(f.va(EMPTY).add(0x123), pte(f.data(), RO), 0, EMPTY)
    }),
    row("va_flags_3", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), 3, EMPTY)
    }),
    row("va_flush", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), UVMF_TLB_FLUSH, EMPTY)
    }),
    row("va_flush_all", |f| {
        f.map(
            f.va(EMPTY),
            pte(f.data(), RO),
            UVMF_TLB_FLUSH | UVMF_ALL,
            EMPTY,
        )
    }),
    row("va_invlpg", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), UVMF_INVLPG, EMPTY)
    }),
    row("va_bad_mask", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), 0x1000 | UVMF_INVLPG, EMPTY)
    }),
    row("va_bad_mask_no_flush", |f| {
        f.map(f.va(EMPTY), pte(f.data(), RO), 0x1000, EMPTY)
    }),
    row("va_in_the_hole", |f| {
        f.map(Vaddr::from_l4_slot(256), 0, 0, EMPTY)
    }),
    row("va_not_canonical", |f| f.map(Vaddr(1 << 47), 0, 0, EMPTY)),
    row("va_no_l4_entry", |f| f.map(Vaddr(0x1000), 0, 0, EMPTY)),
    row("va_no_l2_entry", |f| f.map(f.no_l1(), 0, 0, EMPTY)),
    row("va_maps_a_table_rw", |f| {
        f.map(f.va(EMPTY), pte(f.l1(), RW), UVMF_INVLPG, EMPTY)
    }),
    row("va_other_self", |f| {
        f.call(
            Nr::UpdateVaMappingOtherdomain,
            [f.va(EMPTY).0, pte(f.data(), RO), 0, SELF, 0],
        )
    }),
    row("va_other_own_number", |f| {
        let args = [f.va(EMPTY).0, pte(f.data(), RO), 0, f.domid(), 0];
        f.call(Nr::UpdateVaMappingOtherdomain, args)
    }),
    row("va_other_unknown", |f| {
        f.call(
            Nr::UpdateVaMappingOtherdomain,
            [f.va(EMPTY).0, pte(f.data(), RO), 0, 99, 0],
        )
    }),
    unprivileged("va_other_io", DOM0_FOREIGN, |f| {
        let args = [f.va(EMPTY).0, pte(f.data(), RO), 0, DOMID_IO.into(), 0];
        f.call(Nr::UpdateVaMappingOtherdomain, args)
    }),
    unprivileged("va_other_xen", DOM0_FOREIGN, |f| {
        let args = [f.va(EMPTY).0, pte(f.data(), RO), 0, DOMID_XEN.into(), 0];
        f.call(Nr::UpdateVaMappingOtherdomain, args)
    }),
    row("fault_not_mapped_read", |f| {
        f.fault(f.va(EMPTY), Access::Read)
    }),
    row("fault_not_mapped_write", |f| {
        f.fault(f.va(EMPTY), Access::Write(1))
    }),
    row("fault_table_write", |f| f.fault(f.va(6), Access::Write(1))),
    row("fault_read_only_write_after_flush", |f| {
        f.store(f.data_va(), 1);
        f.map(f.data_va(), pte(f.data(), RO), UVMF_INVLPG, EMPTY);
        f.fault(f.data_va(), Access::Write(1))
    }),
];
