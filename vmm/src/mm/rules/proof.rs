//! The rules of one entry against a specification written a second time, in bit numbers, from
//! Xen's documented behaviour, and compared over the whole of a small domain: every combination of
//! flags, at every level, over every old entry, for a frame of every type. No sampling: what is
//! not in the domain (more than one of the bits that only the guest reads, other frames) cannot
//! be told apart by the rules.

use super::*;
use crate::mm::FrameType;
use crate::mm::fixture::*;
use hypercalls::{Errno, Maddr, Mfn};

/// The low twelve bits, all of them.
const LOW: u64 = 1 << 12;
/// Bits 52 to 63: none, each that means something, one that does not, all.
const HIGH: [u64; 6] = [0, 1 << 52, 1 << 57, 1 << 63, 1 << 52 | 1 << 63, 0xfff << 52];
const FRAMES: [u64; 3] = [0, 0x5_5000, 0x000f_ffff_ffff_f000];

const P: u64 = 1;
const W: u64 = 1 << 1;
const U: u64 = 1 << 2;
const A: u64 = 1 << 5;
const G: u64 = 1 << 8;
const KERNEL: u64 = 1 << 52;

fn number(level: Level) -> usize {
    match level {
        Level::L1 => 1,
        Level::L2 => 2,
        Level::L3 => 3,
        Level::L4 => 4,
    }
}

/// Whether a present entry of `level` may have the bit.
fn may_have(level: usize, bit: u32, io: bool) -> bool {
    match bit {
        // P RW U A D, three for the guest; eleven for the guest, NX.
        0 | 1 | 2 | 5 | 6 | 9 | 10 | 11 | 52..=63 => true,
        // PWT, PCD, PAT: device memory only. Above L1 the last is PSE: XSA-148, XSA-167.
        3 | 4 | 7 => level == 1 && io,
        8 => level == 1,
        _ => unreachable!("a bit of the frame's number"),
    }
}

fn flags_pass(level: usize, flags: u64, io: bool) -> bool {
    let set = (0..12).chain(52..64).filter(|bit| flags >> bit & 1 == 1);
    set.into_iter().all(|bit| may_have(level, bit, io))
}

/// What is stored when `asked` is asked for.
fn stored(level: usize, asked: u64) -> u64 {
    match (level, asked & P, asked & U, asked & KERNEL) {
        (_, 0, ..) => asked,
        (1, _, U, 0) => asked | G,
        (1, ..) => asked | U | KERNEL,
        (4, ..) => asked | U | A,
        _ => asked | U,
    }
}

/// Whether a change of `old` to `new` needs nothing to be looked at again. RW does: XSA-182.
fn is_free(old: u64, new: u64) -> bool {
    let free = [2, 5, 6, 8, 9, 10, 11].into_iter().chain(52..=63);
    let mask: u64 = free.map(|bit| 1_u64 << bit).sum();
    old & P == P && (old ^ new) | mask == mask
}

fn all_flags() -> impl Iterator<Item = u64> {
    (0..LOW).flat_map(|low| HIGH.map(|high| low | high))
}

#[test]
fn every_combination_of_flags_is_refused_or_adjusted_as_specified() {
    for level in Level::ALL {
        let n = number(level);
        for flags in all_flags() {
            for frame in FRAMES {
                let asked = Pte(frame | flags);
                for io in [false, true] {
                    let passes = check_flags(level, asked, io).is_ok();
                    assert_eq!(passes, flags_pass(n, flags, io), "{level:?} {asked:?} {io}");
                }
                let adjusted = adjust(level, asked);
                assert_eq!(adjusted.0, stored(n, asked.0), "{level:?} {asked:?}");
                // What is adjusted gives no right that was not asked for, and stays as it is.
                assert_eq!((adjusted.0 ^ asked.0) & !(U | A | G | KERNEL), 0);
                assert_eq!(adjust(level, adjusted), adjusted);
            }
        }
    }
}

#[test]
fn every_pair_of_entries_is_a_flag_change_or_not_as_specified() {
    let mask: u64 = (0..64)
        .filter(|bit| is_free(P, P ^ 1 << bit))
        .map(|bit| 1 << bit)
        .sum();
    for old in 0..LOW {
        for new in 0..LOW {
            let expected = old & P == P && (old ^ new) & !mask == 0;
            assert_eq!(
                is_flag_change(Pte(old), Pte(new)),
                expected,
                "{old:#x} {new:#x}"
            );
            let with_nx = Pte(new | 1 << 63);
            assert_eq!(
                is_flag_change(Pte(old), with_nx),
                expected,
                "{old:#x} {new:#x} NX"
            );
        }
        for bit in 0..64 {
            let new = Pte(old ^ 1 << bit);
            assert_eq!(
                is_flag_change(Pte(old), new),
                is_free(old, new.0),
                "{old:#x} {bit}"
            );
        }
    }
}

/// A frame of each kind, and what a leaf and an upper entry that name it are told: for a leaf, read
/// only and writable; for an upper entry of levels 2, 3 and 4, if it is read only and if not.
struct Target {
    frame: Mfn,
    leaf: [Option<Errno>; 2],
    upper: [[Option<Errno>; 2]; 3],
}

const FINE: Option<Errno> = None;
const BUSY: Option<Errno> = Some(Errno::EBUSY);
const DENIED: Option<Errno> = Some(Errno::EPERM);
const WRONG: Option<Errno> = Some(Errno::EINVAL);
/// A table that maps one of its own level: read only.
const LINEAR: [Option<Errno>; 2] = [FINE, WRONG];

/// Table frames of each level, pinned and empty.
fn pinned(level: Level) -> Mfn {
    FREE.add(number(level) as u64)
}

fn targets() -> Vec<Target> {
    let table = [FINE, BUSY];
    let no = [WRONG; 2];
    let yes = [FINE; 2];
    let row = |frame, leaf, upper| Target { frame, leaf, upper };
    vec![
        row(FREE, yes, [yes; 3]),
        row(DATA, yes, [no; 3]),
        row(SHARED, yes, [no; 3]),
        row(GDT, table, [no; 3]),
        row(pinned(Level::L1), table, [yes, no, no]),
        row(pinned(Level::L2), table, [LINEAR, yes, no]),
        row(pinned(Level::L3), table, [no, LINEAR, yes]),
        row(pinned(Level::L4), table, [no, no, LINEAR]),
        row(M2P, [DENIED; 2], [no; 3]),
        row(Mfn(END), [DENIED; 2], [no; 3]),
        row(Mfn((1 << 40) - 1), no, [no; 3]),
    ]
}

fn verdict(target: &Target, level: usize, old: u64, new: u64) -> Option<Errno> {
    if new & P == 0 {
        return FINE;
    }
    if !flags_pass(level, new & !Pte::MFN_MASK, false) {
        return WRONG;
    }
    if is_free(old, new) {
        return FINE;
    }
    let writable = usize::from(new & W == W);
    match level {
        1 => target.leaf[writable],
        _ => target.upper[level - 2][writable],
    }
}

/// Where an entry of `level` may be written, in the live tables: a slot nothing is in.
fn entry(level: Level) -> Maddr {
    match level {
        Level::L1 => L1.entry(100),
        Level::L2 => L2.entry(100),
        Level::L3 => L3.entry(100),
        Level::L4 => L4.entry(300),
    }
}

/// P RW U PWT PCD A D PSE G in all combinations, with and without Xen's marker.
fn entry_flags() -> impl Iterator<Item = u64> {
    (0..1 << 9).flat_map(|low| [low, low | KERNEL])
}

/// The whole decision on one entry, for every type of frame it may name, over an entry that was
/// not there, one of another frame, and one of the same: the guest is told what it should be, the
/// entry holds what it should, and every frame's references are right.
#[test]
fn every_entry_for_a_frame_of_every_type_is_told_what_is_specified() {
    let mut machine = Machine::new();
    for level in Level::ALL {
        machine.pin(level, pinned(level)).expect("an empty table");
    }
    let spare = FREE.add(10);
    for level in Level::ALL {
        let (at, n) = (entry(level), number(level));
        for target in targets() {
            let same = pte(target.frame, if n == 1 { 0x25 } else { 0x65 });
            for old in [0, pte(spare, 0x67), same] {
                if machine.set(at, old).is_err() {
                    continue;
                }
                for flags in entry_flags() {
                    let (before, new) = (machine.peek(at), pte(target.frame, flags));
                    let expected = verdict(&target, n, before, new);
                    let told = machine.set(at, new).err();
                    assert_eq!(told, expected, "{level:?} {before:#x} -> {new:#x}");
                    let now = if told.is_none() {
                        stored(n, new)
                    } else {
                        before
                    };
                    assert_eq!(machine.peek(at), now, "{level:?} {before:#x} -> {new:#x}");
                    machine.check();
                    machine.set(at, 0).expect("an entry may go");
                    machine.set(at, old).expect("as before");
                }
                machine.set(at, 0).expect("an entry may go");
            }
        }
    }
    machine.check();
    assert_eq!(machine.mm.type_of(FREE), FrameType::None);
}

/// Slots 256 to 271 of an L4 are the hypervisor's, whatever is to be stored.
#[test]
fn the_hypervisors_slots_take_nothing() {
    let mut machine = Machine::new();
    for slot in 250..280 {
        for flags in entry_flags() {
            let mine = (256..272).contains(&slot);
            if !mine && slot != 255 && slot != 273 {
                continue;
            }
            let new = pte(FREE, flags);
            let fine = !mine && (flags & P == 0 || flags_pass(4, flags, false));
            assert_eq!(
                machine.set(L4.entry(slot), new).is_ok(),
                fine,
                "{slot} {new:#x}"
            );
        }
    }
    machine.check();
}
