//! Entries of L1: a writable map by a flip of flags (XSA-182), and how memory is cached (XSA-154,
//! XSA-402).

use crate::bare::{BUSY, Bare, DESCRIPTORS, FINE, INVALID, PINNED, ZERO};
use hypercalls::mmu::*;
use hypercalls::vm_assist::*;
use hypercalls::{Errno, Nr};
use tests::chaos::{Act, Frame, Step, Tally, Word};
use tests::runner::Checked;

const L1: Frame = PINNED[0];
const SLOT: u16 = 7;
const RO: u64 = 0x65;
const RW: u64 = 0x67;

/// XSA-182. The fast path for changes of flags must not give the right to write. Probes the flip of
/// RW alone and with every flag that may change freely, on maps of tables of each level and of
/// descriptors, by each of the three ways to write an entry.
pub(crate) fn writable_by_a_flip() -> Checked {
    let mut bare = Bare::with_tables();
    let enable = [VMASST_CMD_ENABLE, VMASST_TYPE_WRITABLE_PAGETABLES];
    let [enable, writable] = enable.map(|word| Word::Raw(u64::from(word)));
    assert_eq!(bare.call(Nr::VmAssist, &[], [enable, writable, ZERO]), FINE);
    for target in PINNED
        .into_iter()
        .chain([DESCRIPTORS, Frame::Table(0), Frame::Table(3)])
    {
        assert_eq!(bare.set(L1, SLOT, Word::Pte(target, RO)), FINE);
        let before = bare.entry(L1, SLOT);
        for free in [0, 1 << 2, 1 << 5, 1 << 6, 1 << 8, 7 << 9, 1 << 52, 1 << 63] {
            let flip = Word::Pte(target, RW ^ free);
            assert_eq!(bare.set(L1, SLOT, flip), BUSY, "{target:?} {free:#x}");
            for command in [2, 3] {
                let request = [Word::Entry(L1, SLOT, command), flip];
                assert_eq!(bare.mmu_update(&[request]), BUSY, "{target:?} {free:#x}");
            }
        }
        assert_eq!(bare.entry(L1, SLOT), before);
    }
    flips_of_a_live_map(&mut bare);
    Ok(())
}

/// The same where the guest has the L4 mapped.
fn flips_of_a_live_map(bare: &mut Bare) {
    let l4 = Frame::Table(0);
    let flip = Word::Pte(l4, RW);
    let mapping = bare.call(Nr::UpdateVaMapping, &[], [Word::Va(l4, 0), flip, ZERO]);
    assert_eq!(mapping, BUSY);
    // The entry that maps it, written by an instruction: `lock bts $1`, and a byte.
    let (l1, slot) = (Frame::Table(3), l4_slot(bare));
    let entry = Word::Va(l1, slot * 8);
    let before = bare.entry(l1, slot);
    let codes: [&[u8]; 3] = [
        &[0xf0, 0x48, 0x0f, 0xba, 0x2f, 1],
        &[0x48, 0x89, 0x07],
        &[0x88, 0x07],
    ];
    for code in codes {
        let registers = [flip, ZERO, ZERO, entry];
        let step = Step {
            cpu: 0,
            fills: vec![],
            act: Act::Trap(code.to_vec(), 14, 7, entry, registers),
        };
        let done = bare.guest.step(&step, &mut Tally::default());
        done.unwrap_or_else(|wrong| panic!("{code:x?}: {wrong}"));
        assert_eq!(bare.entry(l1, slot), before, "{code:x?}");
    }
}

/// The slot of the first L1 that maps the L4.
fn l4_slot(bare: &Bare) -> u16 {
    let pfn = bare.guest.dom.layout.tables.first.0;
    u16::try_from(pfn).expect("in the first 2 MiB")
}

/// XSA-154, XSA-402. Two views of memory that are cached differently show different things. Probes
/// every cache mode in an entry, and the flushes of caches that only a device's driver needs.
pub(crate) fn cacheability() -> Checked {
    let mut bare = Bare::with_tables();
    for mode in [
        1 << 3,
        1 << 4,
        1 << 7,
        3 << 3,
        1 << 3 | 1 << 7,
        3 << 3 | 1 << 7,
    ] {
        for target in [Frame::Data(0), Frame::Shared, PINNED[1]] {
            for flags in [RO, RW] {
                let entry = Word::Pte(target, flags | mode);
                assert_eq!(bare.set(L1, SLOT, entry), INVALID, "{target:?} {mode:#x}");
            }
        }
        // Over a mapping, as a change of flags only.
        assert_eq!(bare.set(L1, SLOT, Word::Pte(Frame::Data(0), RW)), FINE);
        let over = bare.set(L1, SLOT, Word::Pte(Frame::Data(0), RW | mode));
        assert_eq!(over, INVALID, "{mode:#x}");
        assert_eq!(bare.set(L1, SLOT, ZERO), FINE);
    }
    let flush = |command: u32| [Word::Raw(u64::from(command)), ZERO, ZERO];
    let denied = Errno::EACCES.to_ret();
    assert_eq!(bare.mmuext(&[flush(MMUEXT_FLUSH_CACHE)]), denied);
    assert_eq!(bare.mmuext(&[flush(MMUEXT_FLUSH_CACHE_GLOBAL)]), INVALID);
    Ok(())
}
