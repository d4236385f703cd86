//! Every command on every type of page (XSA-109, XSA-113), and pages given away while they are in
//! use as something (XSA-214, 217, 287).

use crate::bare::{BUSY, Bare, DESCRIPTORS, FINE, HERE, INVALID, PINNED, THERE, ZERO};
use hypercalls::mmu::*;
use hypercalls::{DOMID_SELF, Nr};
use tests::chaos::{Frame, Word};
use tests::runner::Checked;

/// XSA-109, XSA-113. A command that was written with one type of page in mind is asked for another.
/// Probes every command of `mmuext_op` and `mmu_update`, those that do not exist too, on every
/// kind of frame, as first and as second argument. The references are recounted after each.
pub(crate) fn every_command_on_every_type() -> Checked {
    let kinds = Bare::every_kind();
    for &first in &kinds {
        for command in 0..24 {
            let mut bare = Bare::with_tables();
            for &second in &[Frame::Data(1), Frame::Table(0), PINNED[0], Frame::Number(0)] {
                bare.mmuext(&[[Word::Raw(command), Word::Mfn(first), Word::Mfn(second)]]);
                bare.mmuext(&[[Word::Raw(command), Word::Mfn(second), Word::Mfn(first)]]);
            }
        }
        for command in 0..8 {
            let mut bare = Bare::with_tables();
            for slot in [0, 1, 255, 256, 511] {
                for entry in [ZERO, Word::Pte(PINNED[0], 0x67), Word::Raw(u64::MAX)] {
                    bare.mmu_update(&[[Word::Entry(first, slot, command), entry]]);
                }
            }
        }
    }
    Ok(())
}

/// What may never be cleared or copied over.
pub(crate) fn tables_are_not_overwritten() -> Checked {
    let mut bare = Bare::with_tables();
    let in_use = [PINNED[0], PINNED[1], PINNED[2], PINNED[3], DESCRIPTORS];
    for frame in in_use.into_iter().chain((0..5).map(Frame::Table)) {
        let clear = [
            Word::Raw(u64::from(MMUEXT_CLEAR_PAGE)),
            Word::Mfn(frame),
            ZERO,
        ];
        assert_eq!(bare.mmuext(&[clear]), INVALID, "{frame:?}");
        let source = Word::Mfn(Frame::Data(0));
        let copy = [
            Word::Raw(u64::from(MMUEXT_COPY_PAGE)),
            Word::Mfn(frame),
            source,
        ];
        assert_eq!(bare.mmuext(&[copy]), INVALID, "{frame:?}");
    }
    Ok(())
}

/// XSA-214, XSA-217, XSA-287. A page that leaves the domain, or changes places with another, while
/// it is a table. Probes every command of `memory_op` with lists of the guest's frames of every
/// type; whatever is said, no frame's type or place changes.
pub(crate) fn pages_given_away() -> Checked {
    let mut bare = Bare::with_tables();
    let frames: Vec<Frame> = PINNED
        .into_iter()
        .chain([DESCRIPTORS, Frame::Data(0)])
        .collect();
    let list: Vec<Word> = frames.iter().map(|&frame| Word::Mfn(frame)).collect();
    let count = Word::Raw(list.len() as u64);
    let own = Word::Raw(u64::from(DOMID_SELF));
    // `xen_memory_reservation`, twice as in an exchange: list, count, order, domain.
    let request = [THERE, count, ZERO, own, THERE, count, ZERO, own, ZERO];
    for command in 0..64 {
        let args = [Word::Raw(command), HERE, ZERO, ZERO, ZERO];
        bare.raw(Nr::MemoryOp as u64, &[(1, &list), (0, &request)], args);
        for table in PINNED {
            let writable = Word::Pte(table, 0x67);
            assert_eq!(
                bare.set(PINNED[0], 3, writable),
                BUSY,
                "{command} {table:?}"
            );
        }
    }
    assert_eq!(
        bare.set(PINNED[0], 3, Word::Pte(Frame::Data(0), 0x67)),
        FINE
    );
    Ok(())
}
