//! Tests of table types over time: promotion, demotion, references given back.

use super::fixture::*;
use super::{FrameType, Update};
use hypercalls::{Errno, Level, Mfn, Pte};

const LEVELS: [Level; 4] = Level::ALL;

/// A tree of free frames below a table of `level`: FREE + level - 1 ... FREE, linked at `slot`.
fn tree(machine: &Machine, top: Level, slot: usize) -> Mfn {
    for level in LEVELS.into_iter().filter(|&level| level <= top) {
        let (table, below) = (FREE.add(level as u64), FREE.add(level as u64 - 1));
        let flags = if level == Level::L1 { RO } else { URW };
        machine.poke(table.entry(slot), pte(below, flags));
    }
    FREE.add(top as u64)
}

#[test]
fn pin_promotes_a_tree_and_unpin_demotes_it() {
    for top in LEVELS {
        let mut machine = Machine::new();
        let root = tree(&machine, top, 3);
        machine.pin(top, root).expect("a good tree");
        machine.check();
        assert_eq!(machine.mm.type_of(root).level(), Some(top));
        assert_eq!(machine.mm.type_of(FREE.add(1)), FrameType::L1);
        machine.unpin(root).expect("pinned");
        machine.check();
        for frame in 0..5 {
            assert_eq!(machine.mm.counts(FREE.add(frame)).1, 0, "{top:?}");
        }
    }
}

/// Old tables become writable again once nothing uses them, and not before.
#[test]
fn demotion_after_the_last_of_pin_and_base_pointers() {
    let mut machine = Machine::new();
    let (root, slot) = (FREE.add(4), L1.entry(100));
    let old = machine.kernel_base;
    tree(&machine, Level::L4, 3);
    machine.pin(Level::L4, root).expect("a good tree");
    let base = machine.mm.new_baseptr(&machine.mem, Some(old), root);
    base.expect("an L4");
    machine.roots.bases = vec![root];
    machine.unpin(root).expect("pinned");
    assert_eq!(machine.set(slot, pte(root, RW)), Err(Errno::EBUSY));
    machine.check();
    let base = machine.mm.new_baseptr(&machine.mem, Some(root), old);
    base.expect("an L4");
    machine.roots.bases = vec![old];
    assert_eq!(machine.set(slot, pte(root, RW)), Ok(()));
    machine.check();
}

/// References must not be lost when promotion fails at the first, second or last entry, at any
/// level of the tree (XSA-299, XSA-310).
#[test]
fn failed_promotion_leaks_nothing() {
    let bad_leaf = pte(L1, RW);
    let bad_flags = pte(FREE, 0x67 | 0x80);
    let wrong = pte(DATA, URW);
    for top in LEVELS {
        for at_level in LEVELS.into_iter().filter(|&level| level <= top) {
            for (bad, slot) in [bad_leaf, bad_flags, wrong]
                .into_iter()
                .flat_map(|bad| [0, 1, 511].map(|slot| (bad, slot)))
            {
                let leaf = at_level == Level::L1;
                if (leaf && bad == wrong) || (!leaf && bad == bad_leaf) {
                    continue;
                }
                let mut machine = Machine::new();
                let root = tree(&machine, top, 2);
                tree(&machine, top, 510);
                machine.poke(FREE.add(at_level as u64).entry(slot), bad);
                let refused = machine.pin(top, root);
                assert!(refused.is_err(), "{top:?} {at_level:?} {slot} {bad:#x}");
                machine.check();
                let counts: Vec<_> = (0..5).map(|f| machine.mm.counts(FREE.add(f))).collect();
                assert_eq!(counts, [(1, 0); 5], "only the fixture's own maps");
            }
        }
    }
}

/// The new reference is taken before the old one is dropped: replacing an entry by itself, or by
/// one that needs the old one's table, never demotes on the way.
#[test]
fn replacing_an_entry_by_itself_keeps_its_table() {
    let mut machine = Machine::new();
    let work = machine.mm.work();
    let same = machine.peek(L2.entry(0)) ^ 2;
    assert_eq!(machine.set(L2.entry(0), same), Ok(()));
    let done = machine.mm.work() - work;
    assert_eq!(done, 1, "L1 was not validated again");
    machine.check();
    assert_eq!(machine.set(L2.entry(0), 0), Ok(()));
    assert_eq!(machine.mm.type_of(L1), FrameType::None);
    machine.check();
}

/// RW must go the slow way even when it is the only change (XSA-182), here RW to RO to RW.
#[test]
fn rw_flips_are_counted() {
    let mut machine = Machine::new();
    let slot = L1.entry((DATA.0 - FIRST) as usize);
    assert_eq!(machine.set(slot, pte(DATA, RO)), Ok(()));
    assert_eq!(machine.mm.counts(DATA), (1, 0));
    machine.check();
    assert_eq!(machine.set(L2.entry(1), pte(DATA, URW)), Ok(()));
    assert_eq!(machine.set(slot, pte(DATA, RW)), Err(Errno::EBUSY));
    machine.check();
}

/// Linear maps go one deep: neither a chain nor a cycle of them can be built (XSA-240).
#[test]
fn linear_maps_are_one_deep() {
    let mut machine = Machine::new();
    let [a, b, c] = [0, 1, 2].map(|n| FREE.add(n));
    for table in [a, b, c] {
        machine.pin(Level::L4, table).expect("an empty table");
    }
    assert_eq!(machine.set(a.entry(1), pte(b, RW)), Err(Errno::EINVAL));
    assert_eq!(machine.set(a.entry(1), pte(b, RO)), Ok(()));
    assert_eq!(machine.set(b.entry(1), pte(a, RO)), Err(Errno::EINVAL));
    assert_eq!(machine.set(b.entry(1), pte(c, RO)), Err(Errno::EINVAL));
    assert_eq!(machine.set(c.entry(1), pte(a, RO)), Err(Errno::EINVAL));
    assert_eq!(machine.set(c.entry(1), pte(b, RO)), Ok(()));
    assert_eq!(machine.set(b.entry(2), pte(b, RO)), Ok(()), "of itself");
    machine.check();
    for table in [b, a, c] {
        machine.unpin(table).expect("pinned");
        machine.check();
    }
    assert_eq!(machine.mm.type_of(b), FrameType::None);
    machine.pin(Level::L4, b).expect("free again");
    assert_eq!(machine.set(b.entry(1), pte(L4, RO)), Ok(()));
    machine.check();
}

/// A table whose own slot maps it is demoted by its last outside reference.
#[test]
fn a_recursive_slot_does_not_keep_its_table() {
    let mut machine = Machine::new();
    machine.poke(FREE.entry(511), pte(FREE, RO));
    machine.pin(Level::L4, FREE).expect("recursive");
    machine.check();
    machine.unpin(FREE).expect("pinned");
    assert_eq!(machine.mm.counts(FREE), (1, 0));
    machine.check();
}

/// The hypervisor's slot is installed by promotion whatever the guest had there, the rest emptied.
#[test]
fn hypervisor_slots_of_a_new_l4() {
    let mut machine = Machine::new();
    for slot in 256..272 {
        machine.poke(FREE.entry(slot), pte(L1, RW | 0x80));
    }
    machine.pin(Level::L4, FREE).expect("slots do not count");
    for slot in 255..273 {
        let expected = if slot == 257 { HV_ENTRY } else { 0 };
        assert_eq!(machine.peek(FREE.entry(slot)), expected, "slot {slot}");
    }
    machine.check();
}

/// Preserving A and D takes what the CPU has set by then, in one step with the write.
#[test]
fn preserved_bits_are_the_entrys_own() {
    let mut machine = Machine::new();
    let at = L1.entry((DATA.0 - FIRST) as usize);
    let update = Update {
        preserve_ad: true,
        ..Update::default()
    };
    for (before, asked, flags) in [(0x25, 0x41, 0x65), (0x05, 0x01, 0x05), (0x65, 0x40, 0x60)] {
        machine.poke(at, pte(DATA, before));
        let _set = machine
            .mm
            .set_pte(&machine.mem, at, Pte(pte(DATA, asked)), update);
        assert_eq!(machine.peek(at) & 0xfff, flags, "{before:#x} {asked:#x}");
    }
}
