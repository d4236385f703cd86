//! A hostile guest without a CPU: its requests go to the dispatch, and every page's references are
//! recounted after each. Comes in: requests in [`Word`]s; goes out: what the guest is told.

use hypercalls::{DOMID_SELF, Errno, Nr, Vaddr};
use tests::chaos::{Act, Frame, Guest, Step, Tally, Word};
use xenlet::domain;

pub(crate) const ZERO: Word = Word::Raw(0);
/// Where the requests of a call are put.
pub(crate) const HERE: Word = Word::Page(0, 0);
/// Where more is put.
pub(crate) const THERE: Word = Word::Page(1, 0);
/// What requests are told.
pub(crate) const FINE: i64 = 0;
pub(crate) const INVALID: i64 = Errno::EINVAL.to_ret();
pub(crate) const BUSY: i64 = Errno::EBUSY.to_ret();

/// A table of each level, pinned and empty, after [`Bare::with_tables`].
pub(crate) const PINNED: [Frame; 4] = [
    Frame::Free(0),
    Frame::Free(1),
    Frame::Free(2),
    Frame::Free(3),
];
/// A page of descriptors, after [`Bare::with_tables`].
pub(crate) const DESCRIPTORS: Frame = Frame::Free(4);
/// Frames nobody uses.
pub(crate) const UNUSED: [Frame; 4] = [
    Frame::Free(5),
    Frame::Free(6),
    Frame::Free(7),
    Frame::Free(8),
];

/// The guest.
pub(crate) struct Bare {
    pub(crate) guest: Guest,
}

impl Bare {
    /// On the builder's page tables.
    pub(crate) fn new() -> Bare {
        let guest = Guest::new(1).expect("a small domain");
        Bare { guest }
    }

    /// With a frame of every type.
    pub(crate) fn with_tables() -> Bare {
        let mut bare = Bare::new();
        for (level, frame) in PINNED.into_iter().enumerate() {
            let pin = [Word::Raw(level as u64), Word::Mfn(frame), ZERO];
            assert_eq!(bare.mmuext(&[pin]), FINE, "pinning {frame:?}");
        }
        let gdt = bare.call(
            Nr::SetGdt,
            &[Word::Mfn(DESCRIPTORS)],
            [HERE, Word::Raw(512), ZERO],
        );
        assert_eq!(gdt, FINE);
        bare
    }

    /// Every kind of frame there is, those that are not the guest's among them.
    pub(crate) fn every_kind() -> Vec<Frame> {
        let live = (0..5).map(Frame::Table);
        let not_the_guests = [0, 1, 1 << 20, (1 << 40) - 1, 1 << 52, u64::MAX];
        let mut frames: Vec<Frame> = live.chain(PINNED).collect();
        frames.extend([
            DESCRIPTORS,
            UNUSED[0],
            Frame::Data(0),
            Frame::Shared,
            Frame::StartInfo,
        ]);
        frames.extend(not_the_guests.map(Frame::Number));
        frames
    }

    /// A call with `words` put at [`HERE`]; what it returns.
    ///
    /// # Panics
    /// If anything is wrong after it.
    #[track_caller]
    pub(crate) fn call(&mut self, nr: Nr, words: &[Word], args: [Word; 3]) -> i64 {
        let [a, b, c] = args;
        self.raw(nr as u64, &[(0, words)], [a, b, c, ZERO, ZERO]);
        self.returned()
    }

    /// A call with words put on argument pages.
    #[track_caller]
    pub(crate) fn raw(
        &mut self,
        nr: u64,
        pages: &[(u8, &[Word])],
        args: [Word; 5],
    ) -> domain::Step {
        let fills = pages.iter().map(|&(page, words)| (page, 0, words.to_vec()));
        let step = Step {
            cpu: 0,
            fills: fills.collect(),
            act: Act::Call(nr, args),
        };
        let next = self.guest.step(&step, &mut Tally::default());
        next.unwrap_or_else(|wrong| panic!("{step:?}:\n{wrong}"))
            .expect("it is up")
    }

    /// What the last call returned.
    pub(crate) fn returned(&self) -> i64 {
        self.guest.regs[0].rax as i64
    }

    #[track_caller]
    pub(crate) fn mmu_update(&mut self, requests: &[[Word; 2]]) -> i64 {
        self.requests(Nr::MmuUpdate, requests.as_flattened(), requests.len())
    }

    #[track_caller]
    pub(crate) fn mmuext(&mut self, ops: &[[Word; 3]]) -> i64 {
        self.requests(Nr::MmuextOp, ops.as_flattened(), ops.len())
    }

    #[track_caller]
    fn requests(&mut self, nr: Nr, words: &[Word], count: usize) -> i64 {
        let own = Word::Raw(u64::from(DOMID_SELF));
        let args = [HERE, Word::Raw(count as u64), ZERO, own, ZERO];
        self.raw(nr as u64, &[(0, words)], args);
        self.returned()
    }

    /// One entry of a table.
    #[track_caller]
    pub(crate) fn set(&mut self, table: Frame, slot: u16, entry: Word) -> i64 {
        self.mmu_update(&[[Word::Entry(table, slot, 0), entry]])
    }

    /// What an entry holds.
    pub(crate) fn entry(&self, table: Frame, slot: u16) -> u64 {
        let at = table.mfn(&self.guest.dom).entry(usize::from(slot));
        self.guest
            .dom
            .memory
            .read_u64(at)
            .expect("the guest's memory")
    }

    /// A word of an argument page.
    pub(crate) fn word(&self, at: Word) -> u64 {
        let va = Vaddr(at.value(&self.guest.dom));
        self.guest.dom.kernel_view(0).read_obj(va).expect("mapped")
    }
}
