//! The values a hostile guest uses: its own frames and addresses, the hypervisor's, borders, noise.
//! A word is a description; it becomes a number on a domain, so that a failing sequence reads.

use hypercalls::{Mfn, PAGE_SIZE, Vaddr};
use proptest::prelude::*;
use xenlet::domain::Domain;

/// A machine frame by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One of the tables the builder made; 0 is the L4.
    Table(u8),
    /// Mapped writable.
    Data(u8),
    /// Not mapped at all.
    Free(u8),
    /// The shared-info page.
    Shared,
    /// The start_info page.
    StartInfo,
    /// Any number.
    Number(u64),
}

impl Frame {
    /// Its number on `dom`.
    pub fn mfn(self, dom: &Domain) -> Mfn {
        let pfn = |pfn: u64| dom.first_mfn().add(pfn);
        let layout = &dom.layout;
        match self {
            Frame::Table(n) => pfn(layout.tables.first.0 + u64::from(n) % layout.tables.pages),
            Frame::Data(n) => pfn(layout.boot_stack.0 + 1 + u64::from(n)),
            Frame::Free(n) => pfn(layout.mapped + u64::from(n)),
            Frame::Shared => dom.shared_info.mfn(),
            Frame::StartInfo => pfn(layout.start_info.0),
            Frame::Number(n) => Mfn(n),
        }
    }
}

/// A value in a register or in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A number.
    Raw(u64),
    /// A frame's number.
    Mfn(Frame),
    /// The machine address of an entry of a frame, plus low bits.
    Entry(Frame, u16, u8),
    /// A page-table entry.
    Pte(Frame, u64),
    /// An address in one of the guest's argument pages.
    Page(u8, u16),
    /// Where a frame is mapped, if it is.
    Va(Frame, u16),
}

impl Word {
    /// Its value on `dom`.
    pub fn value(self, dom: &Domain) -> u64 {
        match self {
            Word::Raw(value) => value,
            Word::Mfn(frame) => frame.mfn(dom).0,
            Word::Entry(frame, slot, low) => {
                let at = frame.mfn(dom).maddr().0;
                at.wrapping_add(u64::from(slot) * 8 + u64::from(low))
            }
            Word::Pte(frame, flags) => frame.mfn(dom).maddr().0 | flags,
            Word::Page(page, offset) => page_va(dom, page).0 + u64::from(offset),
            Word::Va(frame, offset) => {
                let pfn = frame.mfn(dom).0.wrapping_sub(dom.first_mfn().0);
                let va = dom
                    .layout
                    .virt_base
                    .0
                    .wrapping_add(pfn.wrapping_mul(PAGE_SIZE));
                va.wrapping_add(u64::from(offset))
            }
        }
    }
}

/// The argument pages come after the data frames.
pub const FIRST_PAGE: u8 = 12;

/// Where argument page `page` is mapped.
pub fn page_va(dom: &Domain, page: u8) -> Vaddr {
    let first = dom.layout.boot_stack.add(1 + u64::from(FIRST_PAGE));
    dom.layout.va(first.add(u64::from(page)))
}

/// Few frames, so that operations meet.
pub fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        4 => (0..8u8).prop_map(Frame::Table),
        6 => (0..6u8).prop_map(Frame::Data),
        12 => (0..10u8).prop_map(Frame::Free),
        1 => Just(Frame::Shared),
        1 => Just(Frame::StartInfo),
        1 => prop_oneof![
            prop::sample::select(vec![0, 1, 2, 3, (1 << 40) - 1, 1 << 52, 0xfee00, u64::MAX]),
            0..2048u64,
        ]
        .prop_map(Frame::Number),
    ]
}

/// Slots at the borders, and some in between.
pub fn slot() -> impl Strategy<Value = u16> {
    let special = vec![0, 0, 1, 1, 2, 3, 255, 256, 257, 271, 272, 510, 511, 511];
    prop_oneof![4 => prop::sample::select(special), 1 => 0..512u16]
}

/// A page-table entry: mostly with flags that pass.
pub fn pte() -> impl Strategy<Value = Word> {
    let flags = prop_oneof![
        8 => prop::sample::select(vec![0x61, 0x63, 0x67, 0x65, 0x01, 0x05, 0x25, 0x27]),
        1 => Just(0u64),
        1 => 0..0x1000u64,
        1 => prop::sample::select(vec![1 << 63 | 0x67, 1 << 52 | 0x65, 0x167, 0xe7, 0x1e7]),
    ];
    prop_oneof![
        10 => (frame(), flags).prop_map(|(frame, flags)| Word::Pte(frame, flags)),
        1 => any::<u64>().prop_map(Word::Raw),
    ]
}

/// A number: small, on a border, or anything.
pub fn raw() -> impl Strategy<Value = u64> {
    let borders = vec![
        u64::MAX,
        u64::MAX - 7,
        1 << 31,
        1 << 31 | 1,
        1 << 32,
        (1 << 32) - 1,
        1 << 63,
        0x7ff0,
        0x7ff1,
        0x7ff2,
        0x0000_7fff_ffff_ffff,
        0x0000_8000_0000_0000,
        0xffff_7fff_ffff_fff8,
        0xffff_8000_0000_0000,
        0xffff_8080_0000_0000,
        0xffff_8080_0000_1000,
        0xffff_87ff_ffff_fff8,
        0xffff_8800_0000_0000,
        0xffff_ffff_ffff_f000,
        0xffff_ffff_8000_0000,
    ];
    prop_oneof![
        6 => 0..40u64,
        3 => prop::sample::select(borders),
        1 => (0..64u32).prop_map(|bit| 1 << bit),
        2 => any::<u64>(),
    ]
}

/// Anything.
pub fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        6 => raw().prop_map(Word::Raw),
        2 => frame().prop_map(Word::Mfn),
        2 => (frame(), slot(), 0..8u8).prop_map(|(f, s, low)| Word::Entry(f, s, low)),
        2 => pte(),
        5 => (0..6u8, offset()).prop_map(|(page, at)| Word::Page(page, at)),
        1 => (frame(), offset()).prop_map(|(frame, at)| Word::Va(frame, at)),
    ]
}

fn offset() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => Just(0u16),
        1 => prop::sample::select(vec![1, 4, 8, 0xfc0, 0xff8, 0xffc, 0xfff]),
        1 => 0..0x1000u16,
    ]
}
