//! The kernel's own writes to a live L1: they fault, and the hypervisor carries them out under the
//! rules of `mmu_update`. Only writes it accepts: one it refuses is the kernel's own page fault.

use super::fixture::{EMPTY, Fixture, RO, URW, pte};
use super::{Answer, Probe, row};
use crate::machine::Part;
use hypercalls::{Maddr, Pte};

fn empty(f: &Fixture<'_>) -> Maddr {
    f.l1().entry(EMPTY)
}

/// What a swap or compare found, its frame left out, and what is there then.
fn found(f: &Fixture<'_>, found: u64) -> Answer {
    Answer::of((found & !Pte::MFN_MASK) as i64).with(f.peek(empty(f)))
}

/// Writes a part of the entry, `offset` bytes in, over `held`: whether a bit was set, and what is
/// there then.
fn part(f: &Fixture<'_>, held: u64, offset: u64, part: Part) -> Answer {
    f.update(empty(f).0, held);
    let was = f.machine().write_part(empty(f).add(offset), part);
    found(f, was.into())
}

/// The low half of the read-only entry, with other flags.
fn low(f: &Fixture<'_>, flags: u64) -> u32 {
    pte(f.data(), flags) as u32
}

/// A bit the hypervisor has no use for, NX in the upper half, and RW's and P's numbers.
const SOFTWARE: u8 = 9;
const NX: u32 = 1 << 31;
const WRITABLE: u8 = 1;
const PRESENT: u8 = 0;

pub(super) const ROWS: [Probe; 17] = [
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
    row("write_1_byte", |f| {
        part(f, pte(f.data(), RO), 0, Part::Byte(RO as u8 & !0x20))
    }),
    row("write_1_byte_makes_writable", |f| {
        part(f, pte(f.data(), RO), 0, Part::Byte(URW as u8))
    }),
    row("write_2_bytes", |f| {
        let flags = low(f, RO | 1 << SOFTWARE) as u16;
        part(f, pte(f.data(), RO), 0, Part::Word(flags))
    }),
    row("write_4_bytes", |f| {
        part(f, pte(f.data(), RO), 0, Part::Dword(low(f, URW)))
    }),
    row("write_4_bytes_of_the_upper_half", |f| {
        let upper = (pte(f.data(), RO) >> 32) as u32 | NX;
        part(f, pte(f.data(), RO), 4, Part::Dword(upper))
    }),
    row("write_4_bytes_clear_the_lower_half", |f| {
        part(f, pte(f.data(), RO), 0, Part::Dword(0))
    }),
    row("bts_sets", |f| {
        part(f, pte(f.data(), RO), 0, Part::Set(SOFTWARE))
    }),
    row("btr_makes_read_only", |f| {
        part(f, pte(f.data(), URW), 0, Part::Clear(WRITABLE))
    }),
    row("btr_clears_present", |f| {
        part(f, pte(f.data(), URW), 0, Part::Clear(PRESENT))
    }),
];
