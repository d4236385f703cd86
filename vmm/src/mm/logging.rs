//! Tests of what the host is told to do: which changes flush, and which entries are shown to the
//! CPU.

use super::Store;
use super::fixture::*;
use hypercalls::{Errno, Level};

/// A frame that had writable mappings becomes a table: every TLB drops them (XSA-401, XSA-408).
/// And only then: a second promotion flushes only because another vCPU may still walk the table
/// that was there before, and what was flushed since is not flushed again.
#[test]
fn writable_to_table_flushes_every_vcpu() {
    let mut machine = Machine::new();
    let slot = L1.entry((DATA.0 - FIRST) as usize);
    assert_eq!(machine.set(slot, pte(DATA, RO)), Ok(()));
    assert!(machine.mm.take_effects().flush.is_empty());
    machine.pin(Level::L1, DATA).expect("free now");
    assert_eq!(machine.mm.take_effects().flush.vcpus, 0b11);
    machine.unpin(DATA).expect("pinned");
    machine.pin(Level::L2, DATA).expect("free again");
    assert_eq!(machine.mm.take_effects().flush.vcpus, 0b11);
    machine.unpin(DATA).expect("pinned");
    machine.mm.flush_all(0b11);
    machine.mm.take_effects();
    machine.pin(Level::L1, DATA).expect("free again");
    assert!(machine.mm.take_effects().flush.is_empty());
}

/// Descriptor pages are protected in the same way.
#[test]
fn writable_to_descriptors_flushes_too() {
    let mut machine = Machine::new();
    let slot = L1.entry((DATA.0 - FIRST) as usize);
    machine.poke(DATA.entry(4), 0x00af_9b00_0000_ffff);
    let refused = machine.mm.get_seg_desc(&machine.mem, DATA);
    assert_eq!(refused.expect_err("writable").errno(), Errno::EINVAL);
    assert_eq!(machine.set(slot, pte(DATA, RO)), Ok(()));
    let got = machine.mm.get_seg_desc(&machine.mem, DATA);
    got.expect("free now");
    machine.roots.descriptors.push(DATA);
    assert_eq!(machine.mm.take_effects().flush.vcpus, 0b11);
    assert_eq!(machine.peek(DATA.entry(4)), 0x00af_fb00_0000_ffff);
    machine.check();
    machine.mm.put_seg_desc(DATA);
    machine.roots.descriptors.pop();
    machine.check();
}

/// Upper entries that were present are flushed everywhere (XSA-286); new ones and L1 are not.
#[test]
fn which_changes_flush() {
    for (at, value, vcpus) in [
        (L1.entry(0), 0, 0),
        (L1.entry(100), pte(DATA, RW), 0),
        (L2.entry(0), 0, 0b11),
        (L2.entry(1), pte(FREE, URW), 0),
        (L3.entry(0), pte(L2, 0x25), 0b11),
        (L4.entry(SLOT as usize), 0, 0b11),
    ] {
        let mut machine = Machine::new();
        assert_eq!(machine.set(at, value), Ok(()));
        assert_eq!(machine.mm.take_effects().flush.vcpus, vcpus, "{at}");
    }
}

/// Only an entry that was present and changed is shown to the CPU, with what memory holds.
#[test]
fn which_changes_are_logged() {
    let mut machine = Machine::new();
    let slot = L1.entry((DATA.0 - FIRST) as usize);
    let new = L1.entry(100);
    assert_eq!(machine.set(new, pte(DATA, RW)), Ok(()));
    assert_eq!(machine.set(new, machine.peek(new)), Ok(()));
    assert_eq!(machine.mm.take_effects().stores, []);
    assert_eq!(machine.set(slot, pte(DATA, RO)), Ok(()));
    let value = machine.peek(slot);
    assert_eq!(machine.set(new, 0), Ok(()));
    let stores = machine.mm.take_effects().stores;
    let cleared = Store { at: new, value: 0 };
    assert_eq!(stores, [Store { at: slot, value }, cleared]);
}

/// A frame that was a table once may still be remembered by a host that shadows tables: what the
/// hypervisor writes there is logged even while it is data, and when it is promoted again.
#[test]
fn former_tables_are_still_logged() {
    let mut machine = Machine::new();
    assert_eq!(machine.set(FREE.entry(0), 0x5001), Ok(()));
    machine.mm.clear_page(&machine.mem, FREE).expect("data");
    assert_eq!(machine.mm.take_effects().stores, [], "never a table");
    machine.pin(Level::L4, FREE).expect("empty");
    machine.unpin(FREE).expect("pinned");
    assert_eq!(machine.mm.take_effects().stores, []);
    machine.poke(FREE.entry(257), 0x5001);
    machine.poke(FREE.entry(258), 0x5001);
    machine
        .pin(Level::L4, FREE)
        .expect("hypervisor slots do not count");
    let at = [FREE.entry(257), FREE.entry(258)];
    let reset = [(at[0], HV_ENTRY), (at[1], 0)].map(|(at, value)| Store { at, value });
    assert_eq!(machine.mm.take_effects().stores, reset);
    machine.unpin(FREE).expect("pinned");
    machine.mm.clear_page(&machine.mem, FREE).expect("data");
    let cleared = [Store {
        at: at[0],
        value: 0,
    }];
    assert_eq!(machine.mm.take_effects().stores, cleared);
}
