//! `multicall`: per-entry results, what aborts it, what ends it, and how it is continued.

use super::{Calls, multicall};
use crate::hypercall::mmu::{Progress, mmu_update};
use crate::hypercall::mmuext::mmuext_op;
use crate::mm::fixture::*;
use crate::mm::{GuestView, Refusal};
use hypercalls::mmu::{MMUEXT_NEW_BASEPTR, MMUEXT_PIN_L4_TABLE, MmuUpdate, MmuextOp};
use hypercalls::multicall::MulticallEntry;
use hypercalls::{Maddr, Nr, Vaddr};
use std::mem::offset_of;

/// A dispatcher of two real calls; `iret` ends a multicall, number 60 is always cut short.
struct Dispatch(Machine);

const CUT: u64 = 60;

#[derive(Debug, PartialEq)]
struct Iret;

impl Calls for Dispatch {
    type Exit = Iret;
    fn view(&self) -> GuestView<'_> {
        GuestView {
            mem: &self.0.mem,
            root: self.0.kernel_base,
        }
    }
    fn work(&self) -> u64 {
        self.0.mm.work()
    }
    fn charge(&mut self, work: u64) {
        self.0.mm.charge(work);
    }
    fn refuse(&mut self, refusal: Refusal) -> i64 {
        self.0.mm.refuse(refusal)
    }
    fn call(&mut self, op: u64, args: [u64; 6]) -> Result<Progress, Iret> {
        match Nr::from_raw(op) {
            Some(Nr::MmuUpdate) => Ok(mmu_update(&mut self.0.mmu(), args)),
            Some(Nr::MmuextOp) => Ok(mmuext_op(&mut self.0.mmu(), args)),
            Some(Nr::Iret) => Err(Iret),
            _ if op == CUT => Ok(Progress::Continue([9, 8, 7, 6, 5, 4])),
            _ => Ok(Progress::Done(-38)),
        }
    }
}

const LIST: Maddr = DATA.maddr();
const UNSET: i64 = 0x55;

impl Dispatch {
    fn new(entries: &[(u64, [u64; 6])]) -> Dispatch {
        let machine = Machine::new();
        for (i, &(op, args)) in entries.iter().enumerate() {
            let entry = MulticallEntry {
                op,
                result: UNSET,
                args,
            };
            let at = LIST.add(64 * i as u64);
            machine.mem.write_obj(at, &entry).expect("in memory");
        }
        Dispatch(machine)
    }

    fn entry(&self, i: u64) -> MulticallEntry {
        let read = self.0.mem.read_obj(LIST.add(64 * i));
        read.expect("in memory")
    }

    fn results(&self, count: u64) -> Vec<i64> {
        (0..count).map(|i| self.entry(i).result).collect()
    }
}

fn update(ptr: Maddr, val: u64) -> MmuUpdate {
    MmuUpdate { ptr: ptr.0, val }
}

fn updates(count: u64) -> (u64, [u64; 6]) {
    let args = [va(REQUESTS).0, count, 0, SELF, 0, 0];
    (Nr::MmuUpdate as u64, args)
}

#[test]
fn entries_have_their_own_results() {
    let entries = [
        updates(1),
        (Nr::Multicall as u64, [va(DATA).0, 1, 0, 0, 0, 0]),
        (40, [0; 6]),
        (u64::MAX, [0; 6]),
        updates(2),
        updates(1),
    ];
    let mut calls = Dispatch::new(&entries);
    let good = update(L1.entry(100), pte(DATA, RO));
    let bad = update(L1.entry(101), pte(L1, RW));
    calls.0.put(&[good, bad]);
    let done = multicall(&mut calls, [va(DATA).0, 6, 0, 0, 0, 0]);
    assert_eq!(done, Ok(Progress::Done(0)));
    assert_eq!(calls.results(6), [0, -22, -38, -38, -16, 0]);
    calls.0.check();
}

#[test]
fn bad_pointers_abort() {
    let list = va(DATA).0;
    let end = va(FREE).0;
    for (case, at, count, rc) in [
        ("hole", Vaddr::from_l4_slot(256).0, 1, -14),
        ("wraps", u64::MAX - 63, 2, -14),
        ("unmapped", 0x1000, 1, -14),
        ("unmapped, none asked", 0x1000, 0, 0),
        ("count is 32 bits", list, 1 << 32, 0),
        ("second not writable", end - 64, 2, -14),
    ] {
        let mut calls = Dispatch::new(&[(40, [0; 6])]);
        let done = multicall(&mut calls, [at, count, 0, 0, 0, 0]);
        assert_eq!(done, Ok(Progress::Done(rc)), "{case}");
    }
}

/// `iret` ends the multicall: neither its own result nor later entries happen (XSA-213).
#[test]
fn iret_ends_it() {
    let mut calls = Dispatch::new(&[(40, [0; 6]), (23, [0; 6]), (40, [0; 6])]);
    let ended = multicall(&mut calls, [va(DATA).0, 3, 0, 0, 0, 0]);
    assert_eq!(ended, Err(Iret));
    assert_eq!(calls.results(3), [-38, UNSET, UNSET]);
}

/// A call that was cut short leaves its new arguments in its entry, and the multicall goes on there.
#[test]
fn a_cut_call_is_continued_in_its_entry() {
    let mut calls = Dispatch::new(&[(40, [0; 6]), (CUT, [1; 6]), (40, [0; 6])]);
    let list = va(DATA).0;
    let cut = multicall(&mut calls, [list, 3, 0, 0, 0, 0]);
    assert_eq!(cut, Ok(Progress::Continue([list + 64, 2, 0, 0, 0, 0])));
    assert_eq!(calls.entry(1).args, [9, 8, 7, 6, 5, 4]);
    assert_eq!(calls.results(3), [-38, UNSET, UNSET]);
}

/// An entry that loads another base pointer changes where the next entry is read from.
#[test]
fn a_new_base_pointer_counts_for_the_next_entry() {
    let ext = |at: Vaddr, count| (Nr::MmuextOp as u64, [at.0, count, 0, SELF, 0, 0]);
    let mut calls = Dispatch::new(&[ext(va(REQUESTS), 2), (40, [0; 6])]);
    // A second L4 that maps nothing: the list itself is gone with the first.
    let op = |cmd, arg1| MmuextOp {
        cmd,
        arg1,
        ..MmuextOp::default()
    };
    let ops = [
        op(MMUEXT_PIN_L4_TABLE, FREE.0),
        op(MMUEXT_NEW_BASEPTR, FREE.0),
    ];
    calls.0.put(&ops);
    let done = multicall(&mut calls, [va(DATA).0, 2, 0, 0, 0, 0]);
    assert_eq!(done, Ok(Progress::Done(-14)));
    assert_eq!(calls.results(2), [UNSET, UNSET]);
    assert_eq!(offset_of!(MulticallEntry, result), 8);
}

#[test]
fn long_lists_are_cut() {
    let mut calls = Dispatch::new(&[]);
    let list = va(DATA).0;
    // 24 data pages hold 1536 entries of number 0, unknown to this dispatcher.
    let rest = multicall(&mut calls, [list, 1536, 0, 0, 0, 0]);
    assert_eq!(rest, Ok(Progress::Done(0)));
    assert_eq!(calls.results(1536), vec![-38; 1536]);
}
