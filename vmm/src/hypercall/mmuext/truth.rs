//! What real Xen answers to each case of `mmuext_op`, and the flushes it asks the host for.

use super::{Progress, mmuext_op};
use crate::mm::FrameType;
use crate::mm::fixture::*;
use hypercalls::mmu::*;
use hypercalls::{DOMID_IO, DOMID_XEN, Level, Mfn, Vaddr};

const EPERM: i64 = -1;
const ESRCH: i64 = -3;
const EACCES: i64 = -13;
const EFAULT: i64 = -14;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;
const ENOSYS: i64 = -38;
const EOPNOTSUPP: i64 = -95;

#[test]
fn mmuext_results() {
    let user_base = [(MMUEXT_NEW_USER_BASEPTR, L4.0, 0)];
    let mask = va(DATA).0;
    for (case, op, expected) in [
        ("14", (14, 0, 0), ENOSYS),
        ("21", (21, 0, 0), ENOSYS),
        ("all ones", (u32::MAX, 0, 0), ENOSYS),
        ("mark super", (MMUEXT_MARK_SUPER, FREE.0, 0), EOPNOTSUPP),
        ("unmark super", (MMUEXT_UNMARK_SUPER, FREE.0, 0), EOPNOTSUPP),
        (
            "flush, bad mask",
            (MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000),
            EINVAL,
        ),
        ("invlpg, bad mask", (MMUEXT_INVLPG_MULTI, 0, 0x1000), EINVAL),
        ("flush, mask", (MMUEXT_TLB_FLUSH_MULTI, 0, mask), 0),
        ("invlpg, mask", (MMUEXT_INVLPG_MULTI, mask, mask), 0),
        ("flush local", (MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0),
        ("flush all", (MMUEXT_TLB_FLUSH_ALL, 0, 0), 0),
        ("invlpg non-canonical", (MMUEXT_INVLPG_LOCAL, 1 << 60, 0), 0),
        ("invlpg all", (MMUEXT_INVLPG_ALL, 0x1000, 0), 0),
        ("flush cache", (MMUEXT_FLUSH_CACHE, 0, 0), EACCES),
        ("flush caches", (MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), EINVAL),
        ("LDT", (MMUEXT_SET_LDT, mask, 8192), 0),
        ("no LDT", (MMUEXT_SET_LDT, 0, 0), 0),
        ("LDT too long", (MMUEXT_SET_LDT, mask, 8193), EINVAL),
        ("LDT unaligned", (MMUEXT_SET_LDT, mask + 8, 1), EINVAL),
        ("LDT non-canonical", (MMUEXT_SET_LDT, 1 << 47, 1), EINVAL),
        ("clear data", (MMUEXT_CLEAR_PAGE, DATA.0, 0), 0),
        ("clear a table", (MMUEXT_CLEAR_PAGE, L1.0, 0), EINVAL),
        ("clear the GDT", (MMUEXT_CLEAR_PAGE, GDT.0, 0), EINVAL),
        ("clear beyond", (MMUEXT_CLEAR_PAGE, END, 0), EINVAL),
        (
            "copy onto a table",
            (MMUEXT_COPY_PAGE, L2.0, DATA.0),
            EINVAL,
        ),
        ("copy a table", (MMUEXT_COPY_PAGE, DATA.0, L2.0), 0),
        ("copy from beyond", (MMUEXT_COPY_PAGE, DATA.0, END), EINVAL),
        ("copy the hypervisor", (MMUEXT_COPY_PAGE, DATA.0, 1), EINVAL),
        ("base L4", (MMUEXT_NEW_BASEPTR, L4.0, 0), 0),
        ("base L3", (MMUEXT_NEW_BASEPTR, L3.0, 0), EINVAL),
        ("base 0", (MMUEXT_NEW_BASEPTR, 0, 0), EINVAL),
        ("base on data", (MMUEXT_NEW_BASEPTR, DATA.0, 0), EINVAL),
        ("user base", user_base[0], 0),
        ("user base none", (MMUEXT_NEW_USER_BASEPTR, 0, 0), 0),
        ("user base L1", (MMUEXT_NEW_USER_BASEPTR, L1.0, 0), EINVAL),
        (
            "user base beyond",
            (MMUEXT_NEW_USER_BASEPTR, END, 0),
            EINVAL,
        ),
    ] {
        let mut machine = Machine::new();
        let (rc, done) = machine.mmuext(&[op], SELF);
        assert_eq!((rc, done), (expected, u32::from(expected == 0)), "{case}");
        machine.check();
    }
}

#[test]
fn mmuext_domains() {
    let op = [(MMUEXT_TLB_FLUSH_LOCAL, 0, 0)];
    for (foreign, rc) in [
        (DOMID.into(), ESRCH),
        (99, ESRCH),
        (u64::from(DOMID_IO), EPERM),
        (u64::from(DOMID_XEN), EPERM),
    ] {
        assert_eq!(Machine::new().mmuext(&op, foreign), (rc, UNTOUCHED));
    }
    let mut machine = Machine::new();
    let args = [Vaddr::from_l4_slot(260).0, 1, va(DONE).0, SELF, 0, 0];
    assert_eq!(mmuext_op(&mut machine.mmu(), args), Progress::Done(EFAULT));
}

#[test]
fn flushes_name_their_vcpus() {
    let page = Vaddr(0x1234_5678);
    for (op, vcpus, pages) in [
        ((MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 1, vec![]),
        ((MMUEXT_TLB_FLUSH_ALL, 0, 0), 3, vec![]),
        ((MMUEXT_TLB_FLUSH_MULTI, 0, va(DATA).0), 2, vec![]),
        ((MMUEXT_INVLPG_LOCAL, page.0, 0), 0, vec![(1, page.page())]),
        ((MMUEXT_INVLPG_ALL, page.0, 0), 0, vec![(3, page.page())]),
        (
            (MMUEXT_INVLPG_MULTI, page.0, va(DATA).0),
            0,
            vec![(2, page.page())],
        ),
        ((MMUEXT_INVLPG_ALL, 1 << 47, 0), 0, vec![]),
        ((MMUEXT_NEW_BASEPTR, L4.0, 0), 1, vec![]),
        ((MMUEXT_NEW_USER_BASEPTR, L4.0, 0), 0, vec![]),
        ((MMUEXT_NEW_USER_BASEPTR, 0, 0), 0, vec![]),
    ] {
        let mut machine = Machine::new();
        // vCPUs 1 and 63, of which only 1 exists.
        machine.poke(DATA.maddr(), 1 << 63 | 2);
        assert_eq!(machine.mmuext(&[op], SELF).0, 0);
        let flush = machine.mm.take_effects().flush;
        assert_eq!(
            (flush.vcpus, flush.pages.to_vec()),
            (vcpus, pages),
            "{op:?}"
        );
    }
}

#[test]
fn pins() {
    let pin = |level: Level| level as u32 - 1 + MMUEXT_PIN_L1_TABLE;
    let mut machine = Machine::new();
    let mut ext = |cmd, mfn: Mfn| machine.mmuext(&[(cmd, mfn.0, 0)], SELF).0;
    assert_eq!(ext(pin(Level::L4), L4), EINVAL, "twice");
    for level in [Level::L1, Level::L2, Level::L3] {
        assert_eq!(ext(pin(level), L4), EINVAL, "at the wrong level");
    }
    assert_eq!(ext(MMUEXT_UNPIN_TABLE, L4), 0);
    assert_eq!(ext(MMUEXT_UNPIN_TABLE, L4), EINVAL, "twice");
    assert_eq!(ext(MMUEXT_UNPIN_TABLE, L1), EINVAL, "never pinned");
    assert_eq!(ext(MMUEXT_UNPIN_TABLE, Mfn(END)), EINVAL, "beyond");
    assert_eq!(ext(pin(Level::L1), Mfn(1)), EINVAL, "the hypervisor's");
    assert_eq!(ext(pin(Level::L1), DATA), EINVAL, "writable");
    machine.roots.pins.clear();
    machine.check();
}

/// An L1 that maps a page table writable, or itself, cannot become one.
#[test]
fn pin_of_a_table_that_breaks_the_invariant() {
    for (target, expected) in [(L1, EBUSY), (L4, EBUSY), (GDT, EBUSY), (FREE, EBUSY)] {
        let mut machine = Machine::new();
        machine.poke(FREE.entry(511), pte(target, RW));
        let op = (MMUEXT_PIN_L1_TABLE, FREE.0, 0);
        assert_eq!(machine.mmuext(&[op], SELF), (expected, 0), "{target}");
        assert_eq!(machine.mm.type_of(FREE), FrameType::None);
        machine.check();
    }
}

/// Work is bounded in entries, not only in requests: pins of whole tables count for 512 each.
#[test]
fn heavy_requests_are_cut_sooner() {
    let mut machine = Machine::new();
    for i in 0..85u64 * 30 {
        let cmd = if i % 2 == 0 {
            MMUEXT_PIN_L1_TABLE
        } else {
            MMUEXT_UNPIN_TABLE
        };
        let op = MmuextOp {
            cmd,
            pad: 0,
            arg1: FREE.0,
            arg2: 0,
        };
        let at = DATA.maddr().add(i * 24);
        machine.mem.write_obj(at, &op).expect("in memory");
    }
    let args = [va(DATA).0, 85 * 30, 0, SELF, 0, 0];
    let Progress::Continue(next) = mmuext_op(&mut machine.mmu(), args) else {
        panic!("not cut");
    };
    let each = 512 + super::super::work::OPERATION;
    let handled = super::super::batch::MAX_WORK.div_ceil(each);
    assert_eq!(next[0], va(DATA).0 + handled * 24);
    machine.check();
}

/// Every command on every kind of frame (XSA-109, XSA-113), twice: whatever it answers, the counts
/// are right.
#[test]
fn every_command_on_every_frame() {
    let frames = [L1, L2, L3, L4, GDT, DATA, FREE, SHARED, Mfn(0), Mfn(1)];
    let beyond = [Mfn(END), Mfn(1 << 40), Mfn(u64::MAX)];
    for cmd in 0..24 {
        for mfn in frames.into_iter().chain(beyond) {
            let mut machine = Machine::new();
            for _ in 0..2 {
                let op = (cmd, mfn.0, mfn.0);
                let (rc, _) = machine.mmuext(&[op], SELF);
                match (rc, cmd) {
                    (0, 0..=3) => machine.roots.pins.push((Level::ALL[cmd as usize], mfn)),
                    (0, MMUEXT_UNPIN_TABLE) => machine.roots.pins.retain(|pin| pin.1 != mfn),
                    _ => {}
                }
                machine.check();
            }
        }
    }
}
