//! The kernel's own writes to a live L1: they fault, and the hypervisor carries them out under the
//! rules of `mmu_update`. Only writes it accepts: one it refuses is the kernel's own page fault.

use super::fixture::{EMPTY, Fixture, RO, URW, pte};
use super::{Answer, Probe, row};
use hypercalls::{Maddr, Pte};

fn empty(f: &Fixture<'_>) -> Maddr {
    f.l1().entry(EMPTY)
}

/// What a swap or compare found, its frame left out, and what is there then.
fn found(f: &Fixture<'_>, found: u64) -> Answer {
    Answer::of((found & !Pte::MFN_MASK) as i64).with(f.peek(empty(f)))
}

pub(super) const ROWS: [Probe; 8] = [
    row("write_kernel_ro", |f| {
        f.machine().store_pte(empty(f), Pte(pte(f.data(), RO)));
        found(f, 0)
    }),
    row("write_user_rw", |f| {
        f.machine().store_pte(empty(f), Pte(pte(f.data(), URW)));
        found(f, 0)
    }),
    row("write_table_ro", |f| {
        f.machine().store_pte(empty(f), Pte(pte(f.l2(), RO)));
        found(f, 0)
    }),
    row("write_not_present_any_bits", |f| {
        f.machine().store_pte(empty(f), Pte(!1));
        found(f, 0)
    }),
    row("xchg_clears", |f| {
        f.update(empty(f).0, pte(f.data(), RO));
        let held = f.machine().xchg_pte(empty(f), Pte::EMPTY);
        found(f, held.0)
    }),
    row("xchg_sets", |f| {
        let held = f.machine().xchg_pte(empty(f), Pte(pte(f.data(), RO)));
        found(f, held.0)
    }),
    row("cmpxchg_hits", |f| {
        let hit = f
            .machine()
            .cmpxchg_pte(empty(f), Pte::EMPTY, Pte(pte(f.data(), RO)));
        found(f, hit.into())
    }),
    row("cmpxchg_misses", |f| {
        let hit = f
            .machine()
            .cmpxchg_pte(empty(f), Pte(1), Pte(pte(f.data(), RO)));
        found(f, hit.into())
    }),
];
