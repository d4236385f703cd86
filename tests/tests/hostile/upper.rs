//! Entries above L1: large pages (XSA-148, XSA-167), recursion and its depth (XSA-185, 240, 309).

use crate::bare::{Bare, FINE, INVALID, PINNED, UNUSED};
use tests::chaos::{Frame, Word};
use tests::runner::Checked;

const RW: u64 = 0x67;
const RO: u64 = 0x65;
const PSE: u64 = 1 << 7;
/// A slot that no table of the guest's uses, and no hypervisor.
const SLOT: u16 = 300;

/// XSA-148, XSA-167. A large page would give 2 MiB or 1 GiB of anybody's memory. Probes PSE at L2,
/// L3 and L4, over nothing, over a table, as a change of this flag only, in a table that is to
/// become one, and where the fast path would not look: with flags that may change freely.
pub(crate) fn large_pages() -> Checked {
    for (level, pair) in (1_u64..).zip(PINNED.windows(2)) {
        let mut bare = Bare::with_tables();
        let (below, table) = (pair[0], pair[1]);
        for frame in [below, UNUSED[0], Frame::Data(0), Frame::Number(0)] {
            let large = Word::Pte(frame, RW | PSE);
            assert_eq!(bare.set(table, SLOT, large), INVALID, "{level} {frame:?}");
        }
        assert_eq!(bare.set(table, SLOT, Word::Pte(below, RW)), FINE);
        let before = bare.entry(table, SLOT);
        for free in [0, 1 << 5, 1 << 6, 1 << 9, 1 << 63, 1 << 52] {
            let large = Word::Pte(below, RW ^ free | PSE);
            assert_eq!(bare.set(table, SLOT, large), INVALID, "{level} {free:#x}");
        }
        assert_eq!(bare.entry(table, SLOT), before);
        // As data, then as a table.
        let (fresh, pin) = (UNUSED[1], Word::Raw(level));
        assert_eq!(bare.set(fresh, 511, Word::Pte(UNUSED[2], RW | PSE)), FINE);
        assert_eq!(
            bare.mmuext(&[[pin, Word::Mfn(fresh), crate::bare::ZERO]]),
            INVALID
        );
    }
    Ok(())
}

/// XSA-185, XSA-240, XSA-309. Tables that map tables of their own level end every count and every
/// walk if they may be writable, deep or a circle. Probes self maps, chains and circles of L2, L3
/// and L4; read-only maps one deep are fine.
pub(crate) fn recursion() -> Checked {
    for (level, pinned) in (1_u64..).zip(&PINNED[1..]) {
        let mut bare = Bare::with_tables();
        let tables = [*pinned, UNUSED[0], UNUSED[1]];
        for table in &tables[1..] {
            let pin = [Word::Raw(level), Word::Mfn(*table), crate::bare::ZERO];
            assert_eq!(bare.mmuext(&[pin]), FINE);
        }
        let [a, b, c] = tables;
        let mut map = |table, of, flags| bare.set(table, SLOT, Word::Pte(of, flags));
        assert_eq!(map(a, a, RW), INVALID, "writable");
        assert_eq!(map(a, b, RW), INVALID, "writable");
        assert_eq!(map(a, a, RO), FINE, "of itself");
        assert_eq!(map(a, b, RO), FINE, "of another one");
        assert_eq!(map(b, c, RO), INVALID, "two deep, from below");
        assert_eq!(map(c, a, RO), INVALID, "two deep, from above");
        assert_eq!(map(b, a, RO), INVALID, "a circle");
        assert_eq!(map(a, b, RW), INVALID, "writable by a flip");
        // The inner one goes: what was too deep is not any more.
        assert_eq!(map(a, a, 0), FINE);
        assert_eq!(map(c, a, RO), FINE);
        assert_eq!(map(a, b, RO), INVALID, "two deep again");
    }
    Ok(())
}
