//! `mmuext_op`: flushes, base pointers, the LDT, whole pages, domains.

use super::fixture::{Fixture, SELF};
use super::{Answer, Probe, row, unprivileged};
use hypercalls::mmu::*;
use hypercalls::{DOMID_IO, DOMID_XEN, Nr, Vaddr};

const DOM0_CACHE: &str = "the first domain may flush caches";
const DOM0_FOREIGN: &str = "the first domain has rights over others' frames";

fn op(f: &Fixture<'_>, cmd: u32, arg1: u64, arg2: u64) -> Answer {
    f.ext(&[(cmd, arg1, arg2)])
}

/// A vCPU mask with a bit for one vCPU that does not exist.
fn mask(f: &Fixture<'_>) -> u64 {
    f.store(f.data_va(), 1 << 63 | 1);
    f.data_va().0
}

pub(super) const ROWS: [Probe; 43] = [
    row("ext_14", |f| op(f, 14, 0, 0)),
    row("ext_21", |f| op(f, 21, 0, 0)),
    row("ext_all_ones", |f| op(f, u32::MAX, 0, 0)),
    row("ext_mark_super", |f| {
        op(f, MMUEXT_MARK_SUPER, f.free().0, 0)
    }),
    row("ext_unmark_super", |f| {
        op(f, MMUEXT_UNMARK_SUPER, f.free().0, 0)
    }),
    row("ext_none_asked", |f| f.ext(&[])),
    row("ext_second_of_three_bad", |f| {
        let flush = (MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
        f.ext(&[flush, (14, 0, 0), flush])
    }),
    row("ext_in_the_hole", |f| {
        f.put(&[]);
        f.counted(Nr::MmuextOp, Vaddr::from_l4_slot(256), 1, SELF)
    }),
    row("ext_foreign_own_number", |f| {
        f.ext_of(&[(MMUEXT_TLB_FLUSH_LOCAL, 0, 0)], f.domid())
    }),
    row("ext_foreign_unknown", |f| {
        f.ext_of(&[(MMUEXT_TLB_FLUSH_LOCAL, 0, 0)], 99)
    }),
    unprivileged("ext_foreign_io", DOM0_FOREIGN, |f| {
        f.ext_of(&[(MMUEXT_TLB_FLUSH_LOCAL, 0, 0)], DOMID_IO.into())
    }),
    unprivileged("ext_foreign_xen", DOM0_FOREIGN, |f| {
        f.ext_of(&[(MMUEXT_TLB_FLUSH_LOCAL, 0, 0)], DOMID_XEN.into())
    }),
    row("flush_local", |f| op(f, MMUEXT_TLB_FLUSH_LOCAL, 0, 0)),
    row("flush_all", |f| op(f, MMUEXT_TLB_FLUSH_ALL, 0, 0)),
    row("flush_multi", |f| op(f, MMUEXT_TLB_FLUSH_MULTI, 0, mask(f))),
    row("flush_multi_bad_mask", |f| {
        op(f, MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000)
    }),
    row("flush_multi_no_mask", |f| {
        op(f, MMUEXT_TLB_FLUSH_MULTI, 0, 0)
    }),
    row("invlpg_local", |f| {
        op(f, MMUEXT_INVLPG_LOCAL, f.data_va().0, 0)
    }),
    row("invlpg_not_canonical", |f| {
        op(f, MMUEXT_INVLPG_LOCAL, 1 << 60, 0)
    }),
    row("invlpg_in_the_hole", |f| {
        op(f, MMUEXT_INVLPG_LOCAL, Vaddr::from_l4_slot(256).0, 0)
    }),
    row("invlpg_all", |f| op(f, MMUEXT_INVLPG_ALL, f.data_va().0, 0)),
    row("invlpg_all_not_canonical", |f| {
        op(f, MMUEXT_INVLPG_ALL, 1 << 60, 0)
    }),
    row("invlpg_multi", |f| {
        op(f, MMUEXT_INVLPG_MULTI, f.data_va().0, mask(f))
    }),
    row("invlpg_multi_bad_mask", |f| {
        op(f, MMUEXT_INVLPG_MULTI, f.data_va().0, 0x1000)
    }),
    unprivileged("flush_cache", DOM0_CACHE, |f| {
        op(f, MMUEXT_FLUSH_CACHE, 0, 0)
    }),
    unprivileged("flush_cache_global", DOM0_CACHE, |f| {
        op(f, MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0)
    }),
    row("ldt", |f| op(f, MMUEXT_SET_LDT, f.data_va().0, 8192)),
    row("ldt_none", |f| op(f, MMUEXT_SET_LDT, 0, 0)),
    row("ldt_too_long", |f| {
        op(f, MMUEXT_SET_LDT, f.data_va().0, 8193)
    }),
    row("ldt_unaligned", |f| {
        op(f, MMUEXT_SET_LDT, f.data_va().0 + 8, 1)
    }),
    row("ldt_not_canonical", |f| op(f, MMUEXT_SET_LDT, 1 << 47, 1)),
    row("clear_data", |f| {
        f.store(f.data_va(), 7);
        op(f, MMUEXT_CLEAR_PAGE, f.data().0, 0).with(f.load(f.data_va()))
    }),
    row("clear_a_table", |f| op(f, MMUEXT_CLEAR_PAGE, f.l1().0, 0)),
    row("clear_the_gdt", |f| op(f, MMUEXT_CLEAR_PAGE, f.gdt().0, 0)),
    row("clear_beyond_ram", |f| {
        op(f, MMUEXT_CLEAR_PAGE, f.beyond().0, 0)
    }),
    row("copy_onto_a_table", |f| {
        op(f, MMUEXT_COPY_PAGE, f.l2().0, f.data().0)
    }),
    row("copy_a_table", |f| {
        op(f, MMUEXT_COPY_PAGE, f.data().0, f.l2().0)
    }),
    row("copy_from_beyond_ram", |f| {
        op(f, MMUEXT_COPY_PAGE, f.data().0, f.beyond().0)
    }),
    row("base_l4", |f| op(f, MMUEXT_NEW_BASEPTR, f.l4().0, 0)),
    row("base_l3", |f| op(f, MMUEXT_NEW_BASEPTR, f.l3().0, 0)),
    row("base_data", |f| op(f, MMUEXT_NEW_BASEPTR, f.data().0, 0)),
    row("user_base_l4", |f| {
        op(f, MMUEXT_NEW_USER_BASEPTR, f.l4().0, 0)
    }),
    row("user_base_l1", |f| {
        op(f, MMUEXT_NEW_USER_BASEPTR, f.l1().0, 0)
    }),
];
