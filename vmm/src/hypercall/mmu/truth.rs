//! What real Xen answers to each case of `mmu_update`: result, done count, and what is then in
//! memory.

use super::{Progress, mmu_update};
use crate::mm::fixture::*;
use hypercalls::mmu::*;
use hypercalls::{DOMID_IO, DOMID_XEN, Maddr, Mfn, Vaddr};

const BIT52: u64 = 1 << 52;
const EPERM: i64 = -1;
const ESRCH: i64 = -3;
const EFAULT: i64 = -14;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;
const ENOSYS: i64 = -38;
/// L1 slots of the fixture that map nothing.
const EMPTY: usize = 100;

fn ptr(mfn: Mfn, slot: usize) -> u64 {
    mfn.entry(slot).0
}

/// One request on a fresh machine, the counts checked after it.
#[track_caller]
fn once(ptr: u64, val: u64) -> (i64, Machine) {
    let mut machine = Machine::new();
    let (rc, done) = machine.mmu_update(&[(ptr, val)], SELF);
    assert_eq!(done, u32::from(rc == 0), "done of {ptr:#x} = {val:#x}");
    machine.check();
    (rc, machine)
}

#[test]
fn one_normal_request() {
    let beyond = Mfn(END + 5);
    let lapic = Mfn(0xfee00);
    let pse = 1 << 7;
    let global = 1 << 8;
    let pcd = 1 << 4;
    let l1 = |slot| ptr(L1, slot);
    let slot_of = |mfn: Mfn| ptr(L1, (mfn.0 - FIRST) as usize);
    for (case, ptr, val, expected) in [
        ("kernel RO", l1(EMPTY), pte(DATA, RO), 0),
        ("user RW", l1(EMPTY), pte(DATA, URW), 0),
        ("not present, any bits", l1(EMPTY), !1, 0),
        ("target out of range", Mfn(END).maddr().0, 0, EINVAL),
        ("target far out of range", !7, 0, EINVAL),
        ("target MMIO", lapic.maddr().0, 0, EINVAL),
        ("target of the hypervisor's", ptr(M2P, 0), 0, EINVAL),
        ("data page", ptr(DATA, 3), 0x1234, 0),
        ("page mapped RO", ptr(FREE, 3), 0x1234, 0),
        ("shared page", ptr(SHARED, 3), 0x1234, 0),
        ("GDT page", ptr(GDT, 3), 0x1234, EINVAL),
        ("frame beyond RAM", l1(EMPTY), pte(beyond, RO), EPERM),
        ("LAPIC", l1(EMPTY), pte(lapic, RW), EPERM),
        ("hypervisor frame", l1(EMPTY), pte(Mfn(1), RO), EPERM),
        ("frame all ones", l1(EMPTY), 0xf_ffff_ffff_f061, EINVAL),
        ("shared frame RW", l1(EMPTY), pte(SHARED, RW), 0),
        ("RW map of L1", l1(EMPTY), pte(L1, RW), EBUSY),
        ("RW map of L2", l1(EMPTY), pte(L2, RW), EBUSY),
        ("RW map of L3", l1(EMPTY), pte(L3, URW), EBUSY),
        ("RW map of L4", l1(EMPTY), pte(L4, RW), EBUSY),
        ("RW map of the GDT", l1(EMPTY), pte(GDT, RW), EBUSY),
        ("RO map of L1", l1(EMPTY), pte(L1, RO), 0),
        ("RO map of L4", l1(EMPTY), pte(L4, RO), 0),
        ("RO map of the GDT", l1(EMPTY), pte(GDT, RO), 0),
        ("RO to RW flip of L2", slot_of(L2), pte(L2, RW), EBUSY),
        ("RO to RW flip of GDT", slot_of(GDT), pte(GDT, RW), EBUSY),
        ("RO to RW flip of data", slot_of(FREE), pte(FREE, RW), 0),
        ("L1 with PAT", l1(EMPTY), pte(DATA, RO | pse), EINVAL),
        ("L1 with PCD", l1(EMPTY), pte(DATA, RO | pcd), EINVAL),
        ("L1 with PWT", l1(EMPTY), pte(DATA, RO | 8), EINVAL),
        ("L1 with GLOBAL", l1(EMPTY), pte(DATA, RO | global), 0),
        ("L2 with PSE", ptr(L2, 1), pte(FREE, URW | pse), EINVAL),
        ("L3 with PSE", ptr(L3, 1), pte(FREE, URW | pse), EINVAL),
        ("L4 with PSE", ptr(L4, 1), pte(FREE, URW | pse), EINVAL),
        (
            "L2 flag change to PSE",
            ptr(L2, 0),
            pte(L1, URW | pse),
            EINVAL,
        ),
        (
            "L3 flag change to PSE",
            ptr(L3, 0),
            pte(L2, URW | pse),
            EINVAL,
        ),
        (
            "L2 with GLOBAL",
            ptr(L2, 1),
            pte(FREE, URW | global),
            EINVAL,
        ),
        (
            "L3 with GLOBAL",
            ptr(L3, 1),
            pte(FREE, URW | global),
            EINVAL,
        ),
        (
            "L4 with GLOBAL",
            ptr(L4, 1),
            pte(FREE, URW | global),
            EINVAL,
        ),
        ("L2 with PCD", ptr(L2, 1), pte(FREE, URW | pcd), EINVAL),
        ("L2 to RW-mapped page", ptr(L2, 1), pte(DATA, URW), EINVAL),
        ("L2 to RO-mapped page", ptr(L2, 1), pte(FREE, URW), 0),
        ("L2 beyond RAM", ptr(L2, 1), pte(beyond, URW), EINVAL),
        (
            "L2 to the hypervisor's",
            ptr(L2, 1),
            pte(Mfn(1), URW),
            EINVAL,
        ),
        ("L2 to L1", ptr(L2, 1), pte(L1, URW), 0),
        ("L3 to L1", ptr(L3, 1), pte(L1, URW), EINVAL),
        ("L4 to L1", ptr(L4, 1), pte(L1, URW), EINVAL),
        ("L4 to L2", ptr(L4, 1), pte(L2, URW), EINVAL),
        ("L2 to L4", ptr(L2, 1), pte(L4, URW), EINVAL),
        ("L2 to GDT", ptr(L2, 1), pte(GDT, URW), EINVAL),
        ("L4 slot 255", ptr(L4, 255), pte(L3, URW), 0),
        ("L4 slot 256", ptr(L4, 256), pte(L3, URW), EINVAL),
        ("L4 slot 257", ptr(L4, 257), pte(L3, URW), EINVAL),
        ("L4 slot 257 cleared", ptr(L4, 257), 0, EINVAL),
        ("L4 slot 271", ptr(L4, 271), pte(L3, URW), EINVAL),
        ("L4 slot 272", ptr(L4, 272), pte(L3, URW), 0),
        ("L4 recursive RO", ptr(L4, 511), pte(L4, RO), 0),
        ("L4 recursive RW", ptr(L4, 511), pte(L4, RW), EINVAL),
        ("L3 recursive RO", ptr(L3, 511), pte(L3, RO), 0),
        ("L2 recursive RO", ptr(L2, 511), pte(L2, RO), 0),
        ("L2 recursive RW", ptr(L2, 511), pte(L2, URW), EINVAL),
        ("L1 of itself RW", l1(EMPTY), pte(L1, URW), EBUSY),
    ] {
        let before = Machine::new();
        let (rc, machine) = once(ptr, val);
        assert_eq!(rc, expected, "{case}");
        if rc != 0 && machine.mem.contains(Maddr(ptr).mfn()) {
            let at = Maddr(ptr);
            assert_eq!(machine.peek(at), before.peek(at), "{case}: changed");
        }
    }
}

#[test]
fn what_reads_back() {
    for (at, asked, stored) in [
        (L1.entry(EMPTY), pte(DATA, RO), pte(DATA, 0x65) | BIT52),
        (L1.entry(EMPTY), pte(DATA, URW), pte(DATA, 0x167)),
        (
            L1.entry(EMPTY),
            pte(DATA, RO | 0x100),
            pte(DATA, 0x165) | BIT52,
        ),
        (
            L1.entry(EMPTY),
            0xdead_0000_0000_0ff0,
            0xdead_0000_0000_0ff0,
        ),
        (L2.entry(1), pte(FREE, 0x63), pte(FREE, 0x67)),
        (L3.entry(1), pte(FREE, 0x03), pte(FREE, 0x07)),
        (L4.entry(1), pte(FREE, 0x03), pte(FREE, 0x27)),
        (DATA.entry(7), 0x63, 0x63),
    ] {
        let (rc, machine) = once(at.0, asked);
        assert_eq!((rc, machine.peek(at)), (0, stored), "{asked:#x}");
    }
}

#[test]
fn preserve_ad_keeps_what_normal_drops() {
    for (command, flags) in [
        (MMU_PT_UPDATE_PRESERVE_AD, 0x65),
        (MMU_NORMAL_PT_UPDATE, 0x05),
        (MMU_PT_UPDATE_NO_TRANSLATE, 0x05),
    ] {
        let mut machine = Machine::new();
        let at = L1.entry((DATA.0 - FIRST) as usize);
        let rc = machine.mmu_update(&[(at.0 | command, pte(DATA, 0x01))], SELF);
        assert_eq!((rc, machine.peek(at)), ((0, 1), pte(DATA, flags) | BIT52));
        machine.check();
    }
}

#[test]
fn commands() {
    for (command, expected) in [(3, 0), (4, ENOSYS), (5, ENOSYS), (6, ENOSYS), (7, ENOSYS)] {
        let (rc, _) = once(ptr(L1, EMPTY) | command, pte(DATA, RO));
        assert_eq!(rc, expected, "command {command}");
    }
    let machphys = |mfn: Mfn| once(mfn.maddr().0 | MMU_MACHPHYS_UPDATE, 0x77);
    let (rc, machine) = machphys(DATA);
    assert_eq!((rc, machine.peek(M2P.entry(DATA.0 as usize))), (0, 0x77));
    for bad in [Mfn(END), Mfn(1), Mfn(1 << 40)] {
        assert_eq!(machphys(bad).0, EINVAL, "machphys of {bad}");
    }
}

/// The first failure stops the batch; what came before it stays.
#[test]
fn second_of_three_fails() {
    let mut machine = Machine::new();
    let bad = pte(Mfn(END + 1), RO);
    let requests = [
        (ptr(L1, EMPTY), pte(DATA, RO)),
        (ptr(L1, EMPTY + 1), bad),
        (ptr(L1, EMPTY + 2), pte(DATA, RO)),
    ];
    assert_eq!(machine.mmu_update(&requests, SELF), (EPERM, 1));
    assert_ne!(machine.peek(L1.entry(EMPTY)), 0);
    assert_eq!(machine.peek(L1.entry(EMPTY + 2)), 0);
    let counted: Vec<_> = machine.mm.refusals().collect();
    assert_eq!(counted, [("NotRam", 1)]);
    machine.check();
}

/// Range before table domain before foreign domain before entries, and who learns a done count.
#[test]
fn order_of_checks() {
    let hole = Vaddr::from_l4_slot(256).0;
    let unmapped = 0x7000_0000;
    let good = va(REQUESTS).0;
    let table = |domain: u64| (domain + 1) << 16 | SELF;
    for (case, at, count, foreign, expected) in [
        ("hole", hole, 1, SELF, (EFAULT, UNTOUCHED)),
        ("hole, bad domains", hole, 1, 99, (EFAULT, UNTOUCHED)),
        ("unmapped", unmapped, 1, SELF, (EFAULT, 0)),
        ("unmapped, nothing asked", unmapped, 0, SELF, (0, 0)),
        ("non-canonical", 1 << 47, 1, SELF, (EFAULT, UNTOUCHED)),
        ("wraps", u64::MAX - 15, 2, SELF, (EFAULT, 0)),
        ("into the hole", (1 << 47) - 16, 2, SELF, (EFAULT, 0)),
        ("own number", good, 1, DOMID.into(), (ESRCH, 0)),
        ("unknown domain", good, 1, 99, (ESRCH, 0)),
        (
            "unknown table domain",
            good,
            1,
            table(99),
            (ESRCH, UNTOUCHED),
        ),
        (
            "table domain SELF",
            good,
            1,
            table(SELF),
            (ESRCH, UNTOUCHED),
        ),
        ("own table domain", good, 1, table(DOMID.into()), (0, 1)),
        ("both", good, 1, 100 << 16 | 98, (ESRCH, UNTOUCHED)),
        ("IO on RAM", good, 1, DOMID_IO.into(), (EBUSY, 0)),
        ("XEN", good, 1, DOMID_XEN.into(), (EPERM, 0)),
        ("XEN, nothing asked", good, 0, DOMID_XEN.into(), (0, 0)),
        ("count is 32 bits", good, 1 << 32 | 1, SELF, (0, 1)),
    ] {
        let mut machine = Machine::new();
        let request = MmuUpdate {
            ptr: ptr(L1, EMPTY),
            val: pte(DATA, RO),
        };
        machine.put(&[request]);
        let args = [at, count, va(DONE).0, foreign, 0, 0];
        let Progress::Done(rc) = mmu_update(&mut machine.mmu(), args) else {
            panic!("{case}: cut short");
        };
        assert_eq!((rc, machine.done()), expected, "{case}");
        machine.check();
    }
}

#[test]
fn foreign_io_has_no_tables_and_no_machphys() {
    let io = u64::from(DOMID_IO);
    for (ptr, val, expected) in [
        (ptr(L2, 1), pte(FREE, URW), EINVAL),
        (ptr(L1, EMPTY), pte(Mfn(END + 1), RO), EPERM),
        (ptr(L1, EMPTY), 0, 0),
        (ptr(DATA, 0) | MMU_MACHPHYS_UPDATE, 1, EINVAL),
    ] {
        let mut machine = Machine::new();
        assert_eq!(machine.mmu_update(&[(ptr, val)], io).0, expected);
        machine.check();
    }
}

/// I/O memory the guest was given rights to takes no reference, and its cache mode is free.
#[test]
fn permitted_io_frames() {
    let mut machine = Machine::new();
    let frame = Mfn(END + 0x100);
    machine.mm.permit_io(frame..frame.add(1));
    let map = |mfn, flags| [(ptr(L1, EMPTY), pte(mfn, flags))];
    assert_eq!(machine.mmu_update(&map(frame, RW | 0x18), SELF).0, 0);
    assert_eq!(machine.mmu_update(&map(frame, RW), DOMID_IO.into()).0, 0);
    assert_eq!(machine.mmu_update(&map(frame.add(1), RW), SELF).0, EPERM);
    machine.check();
}

/// A long array is cut, and going on with the returned arguments ends as one call would have.
#[test]
fn a_long_batch_is_continued() {
    let mut machine = Machine::new();
    // 16 pages of requests: the data frames from DATA on, contiguous in memory and by address.
    let count = 16 * 256u64;
    let request = |i: u64| MmuUpdate {
        ptr: ptr(DATA2.add(20), (i % 512) as usize),
        val: i,
    };
    for i in 0..count {
        let at = DATA.maddr().add(i * 16);
        machine.mem.write_obj(at, &request(i)).expect("in memory");
    }
    machine.put(&[0u64]);
    let mut args = [va(DATA).0, count + 100, va(DONE).0, SELF, 0, 0];
    let progress = mmu_update(&mut machine.mmu(), args);
    let Progress::Continue(next) = progress else {
        panic!("not cut: {progress:?}");
    };
    assert_eq!(machine.done(), 4096);
    assert_eq!(next[0], va(DATA).0 + 4096 * 16);
    assert_eq!(next[1], 100 | u64::from(MMU_UPDATE_PREEMPTED));
    args = next;
    args[1] = u64::from(MMU_UPDATE_PREEMPTED | 1);
    args[0] = va(DATA).0;
    assert_eq!(mmu_update(&mut machine.mmu(), args), Progress::Done(0));
    assert_eq!(machine.done(), 4097);
}

/// Every command on every kind of frame, with values that pass and values that do not.
#[test]
fn every_command_on_every_frame() {
    let values = [
        0,
        1,
        !0,
        pte(DATA, URW),
        pte(FREE, RO),
        pte(L2, RO),
        pte(GDT, RW),
    ];
    for command in 0..8 {
        for mfn in [
            L1,
            L2,
            L3,
            L4,
            GDT,
            DATA,
            FREE,
            SHARED,
            M2P,
            Mfn(END),
            Mfn(1 << 51),
        ] {
            for value in values {
                let mut machine = Machine::new();
                let request = (mfn.maddr().0 | 0x7f8 | command, value);
                machine.mmu_update(&[request, request], SELF);
                machine.check();
            }
        }
    }
}
