//! Pins: levels, twice, and tables that would break the rules.

use super::fixture::{EMPTY, Fixture, RO, RW, URW, pte};
use super::{Answer, Probe, row, unprivileged};
use hypercalls::Mfn;
use hypercalls::mmu::{
    MMUEXT_PIN_L1_TABLE as PIN_L1, MMUEXT_PIN_L2_TABLE as PIN_L2, MMUEXT_PIN_L3_TABLE as PIN_L3,
    MMUEXT_PIN_L4_TABLE as PIN_L4, MMUEXT_UNPIN_TABLE as UNPIN,
};

const DOM0_CACHE: &str = "the first domain may choose how memory is cached";

fn op(f: &Fixture<'_>, cmd: u32, mfn: Mfn) -> Answer {
    f.ext(&[(cmd, mfn.0, 0)])
}

/// Pins the free page as a table of one entry.
fn pin_with(f: &Fixture<'_>, cmd: u32, entry: u64) -> Answer {
    f.update(f.free().entry(EMPTY).0, entry);
    op(f, cmd, f.free())
}

pub(super) const ROWS: [Probe; 26] = [
    row("pin_l1", |f| op(f, PIN_L1, f.free())),
    row("pin_l2", |f| op(f, PIN_L2, f.free())),
    row("pin_l3", |f| op(f, PIN_L3, f.free())),
    row("pin_l4", |f| op(f, PIN_L4, f.free())),
    row("pin_twice", |f| {
        op(f, PIN_L1, f.free());
        op(f, PIN_L1, f.free())
    }),
    row("pin_l4_in_use_twice", |f| op(f, PIN_L4, f.l4())),
    row("pin_l1_in_use", |f| op(f, PIN_L1, f.l1())),
    row("unpin_twice", |f| {
        op(f, PIN_L1, f.free());
        op(f, UNPIN, f.free());
        op(f, UNPIN, f.free())
    }),
    row("unpin_of_an_unpinned_table", |f| op(f, UNPIN, f.l1())),
    row("unpin_of_data", |f| op(f, UNPIN, f.data())),
    row("unpin_beyond_ram", |f| op(f, UNPIN, f.beyond())),
    row("unpin_makes_it_writable_again", |f| {
        op(f, PIN_L1, f.free());
        op(f, UNPIN, f.free());
        f.update(f.empty(), pte(f.free(), RW))
    }),
    row("pinned_page_rw", |f| {
        op(f, PIN_L1, f.free());
        f.update(f.empty(), pte(f.free(), RW))
    }),
    row("pin_l4_as_l1", |f| op(f, PIN_L1, f.l4())),
    row("pin_l4_as_l3", |f| op(f, PIN_L3, f.l4())),
    row("pin_l1_as_l2", |f| op(f, PIN_L2, f.l1())),
    row("pin_of_data", |f| op(f, PIN_L1, f.data())),
    row("pin_of_gdt", |f| op(f, PIN_L1, f.gdt())),
    row("pin_beyond_ram", |f| op(f, PIN_L1, f.beyond())),
    row("pin_l1_that_maps_a_table_rw", |f| {
        pin_with(f, PIN_L1, pte(f.l1(), RW))
    }),
    row("pin_l1_that_maps_the_l4_rw", |f| {
        pin_with(f, PIN_L1, pte(f.l4(), RW))
    }),
    row("pin_l1_that_maps_itself_rw", |f| {
        pin_with(f, PIN_L1, pte(f.free(), RW))
    }),
    row("pin_l1_that_maps_itself_ro", |f| {
        pin_with(f, PIN_L1, pte(f.free(), RO))
    }),
    unprivileged("pin_l1_with_pcd", DOM0_CACHE, |f| {
        pin_with(f, PIN_L1, pte(f.data(), RO | 1 << 4))
    }),
    row("pin_l2_with_pse", |f| {
        pin_with(f, PIN_L2, pte(f.l1(), URW | 1 << 7))
    }),
    row("pin_l2_to_data", |f| {
        pin_with(f, PIN_L2, pte(f.data(), URW))
    }),
];
