//! Entries of an L2, L3 and L4: flags, what they may lead to, the hypervisor's slots, recursion.

use super::fixture::{EMPTY, FREE_L4_SLOT, Fixture, RO, RW, SELF, URW, pte};
use super::{Answer, Probe, row};
use hypercalls::Mfn;

const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const PSE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;

/// Slot 1 of a table, which is empty.
fn slot(mfn: Mfn) -> u64 {
    mfn.entry(1).0
}

fn l4_slot(f: &Fixture<'_>, slot: usize, val: u64) -> Answer {
    f.update(f.l4().entry(slot).0, val)
}

/// A slot of the hypervisor's, which holds what it likes.
fn xen_slot(f: &Fixture<'_>, slot: usize, val: u64) -> Answer {
    f.updates(&[(f.l4().entry(slot).0, val)], SELF)
}

pub(super) const ROWS: [Probe; 44] = [
    row("l2_pse", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | PSE))
    }),
    row("l3_pse", |f| {
        f.update(slot(f.l3()), pte(f.free(), URW | PSE))
    }),
    row("l4_pse", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l3(), URW | PSE))
    }),
    row("l2_flag_change_to_pse", |f| {
        f.update(f.l2().entry(0).0, pte(f.l1(), URW | PSE))
    }),
    row("l3_flag_change_to_pse", |f| {
        f.update(f.l3().entry(0).0, pte(f.l2(), URW | PSE))
    }),
    row("l4_flag_change_to_pse", |f| {
        l4_slot(f, 128, pte(f.l3(), URW | PSE))
    }),
    row("l2_global", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | GLOBAL))
    }),
    row("l3_global", |f| {
        f.update(slot(f.l3()), pte(f.free(), URW | GLOBAL))
    }),
    row("l4_global", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l3(), URW | GLOBAL))
    }),
    row("l2_flag_change_to_global", |f| {
        f.update(f.l2().entry(0).0, pte(f.l1(), URW | GLOBAL))
    }),
    row("l2_pcd", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | PCD))
    }),
    row("l2_pwt", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | PWT))
    }),
    row("l2_present_alone", |f| {
        f.update(slot(f.l2()), pte(f.free(), 1))
    }),
    row("l3_present_alone", |f| {
        f.update(slot(f.l3()), pte(f.free(), 1))
    }),
    row("l4_present_alone", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l3(), 1))
    }),
    row("l2_high_bits", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | 0x7ff << 52))
    }),
    row("l2_nx", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW | 1 << 63))
    }),
    row("l2_not_present_any_bits", |f| f.update(slot(f.l2()), !1)),
    row("l4_not_present_any_bits", |f| l4_slot(f, FREE_L4_SLOT, !1)),
    row("l2_to_writable_page", |f| {
        f.update(slot(f.l2()), pte(f.data(), URW))
    }),
    row("l2_to_read_only_page", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW))
    }),
    row("l2_to_page_that_then_is_l1", |f| {
        f.update(slot(f.l2()), pte(f.free(), URW));
        f.update(f.empty(), pte(f.free(), RW))
    }),
    row("l2_to_page_that_maps_l1_rw", |f| {
        f.update(f.free().entry(EMPTY).0, pte(f.l1(), RW));
        f.update(slot(f.l2()), pte(f.free(), URW))
    }),
    row("l2_to_gdt", |f| f.update(slot(f.l2()), pte(f.gdt(), URW))),
    row("l2_to_l1_again", |f| {
        f.update(slot(f.l2()), pte(f.l1(), URW))
    }),
    row("l2_to_l3", |f| f.update(slot(f.l2()), pte(f.l3(), URW))),
    row("l2_to_l4", |f| f.update(slot(f.l2()), pte(f.l4(), URW))),
    row("l3_to_l1", |f| f.update(slot(f.l3()), pte(f.l1(), URW))),
    row("l4_to_l1", |f| l4_slot(f, FREE_L4_SLOT, pte(f.l1(), URW))),
    row("l4_to_l2", |f| l4_slot(f, FREE_L4_SLOT, pte(f.l2(), URW))),
    row("l2_beyond_ram", |f| {
        f.update(slot(f.l2()), pte(f.beyond(), URW))
    }),
    row("l4_slot_255", |f| l4_slot(f, 255, pte(f.l3(), URW))),
    row("l4_slot_256", |f| xen_slot(f, 256, pte(f.l3(), URW))),
    row("l4_slot_257", |f| xen_slot(f, 257, pte(f.l3(), URW))),
    row("l4_slot_257_cleared", |f| xen_slot(f, 257, 0)),
    row("l4_slot_271", |f| xen_slot(f, 271, pte(f.l3(), URW))),
    row("l4_slot_272", |f| l4_slot(f, 272, pte(f.l3(), URW))),
    row("l4_recursive_ro", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l4(), RO))
    }),
    row("l4_recursive_rw", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l4(), RW))
    }),
    row("l4_recursive_twice", |f| {
        l4_slot(f, FREE_L4_SLOT, pte(f.l4(), RO));
        l4_slot(f, FREE_L4_SLOT + 1, pte(f.l4(), RO))
    }),
    row("l3_recursive_ro", |f| {
        f.update(f.l3().entry(511).0, pte(f.l3(), RO))
    }),
    row("l3_recursive_rw", |f| {
        f.update(f.l3().entry(511).0, pte(f.l3(), URW))
    }),
    row("l2_recursive_ro", |f| {
        f.update(f.l2().entry(511).0, pte(f.l2(), RO))
    }),
    row("l2_recursive_rw", |f| {
        f.update(f.l2().entry(511).0, pte(f.l2(), URW))
    }),
];
