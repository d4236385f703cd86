//! The tables a probe works on, new for each: an L3, an L2 and an L1 under the guest's own L4,
//! pages to be mapped and retyped, a GDT, and a page for requests. All hypercalls' arguments lie
//! in guest memory that is reached by its mapping, as the hypervisor reaches it.

use super::{Answer, Done};
use crate::kernel::Os;
use crate::machine::Access;
use crate::region::{Place, Region, tear_down};
use crate::work::Stop;
use hypercalls::lab::Cause;
use hypercalls::memory::XENMEM_MAXIMUM_RAM_PAGE;
use hypercalls::mmu::{
    MMU_COMMAND_MASK, MMUEXT_NEW_USER_BASEPTR, MMUEXT_SET_LDT, MMUEXT_UNPIN_TABLE,
};
use hypercalls::{DOMID_SELF, Level, Maddr, Mfn, Nr, Pfn, Pte, Vaddr};

/// Flags: read-only, without USER.
pub(super) const RO: u64 = 0x61;
/// Flags: writable, without USER.
pub(super) const RW: u64 = 0x63;
/// Flags: writable, with USER.
pub(super) const URW: u64 = 0x67;
/// "My own", as a foreign domain.
pub(super) const SELF: u64 = DOMID_SELF as u64;
/// An L1 slot that maps nothing.
pub(super) const EMPTY: usize = 100;
/// Slots of the L4 that probes use and that are cleared behind them.
pub(super) const L4_SLOTS: [usize; 4] = [FREE_L4_SLOT, 131, 255, 272];
/// One of them.
pub(super) const FREE_L4_SLOT: usize = 130;
/// The local APIC's frame.
pub(super) const LAPIC: Mfn = Mfn(0xfee00);

// Frames by number; frame n is mapped by slot n of the L1, the L4 by the slot after the last.
const REQUESTS: u64 = 0;
const OUT: u64 = 1;
const DATA: u64 = 2;
const FREE: u64 = 3;
const GDT: u64 = 4;
const PAGES: u64 = 5;
const L3: u64 = 5;
const L2: u64 = 6;
const L1: u64 = 7;
const L4_SLOT: usize = 8;
const FRAMES: u64 = 8;

/// Nobody has written here.
const UNTOUCHED: u32 = 0x5555_5555;

/// An entry for `mfn` with raw flags.
pub(super) const fn pte(mfn: Mfn, flags: u64) -> u64 {
    mfn.maddr().0 | flags
}

/// The tables.
pub(super) struct Fixture<'a> {
    os: Os<'a>,
    region: Region,
}

impl<'a> Fixture<'a> {
    /// Builds them; the pool is untouched.
    pub(super) fn new(os: Os<'a>) -> Result<Self, Stop> {
        for _ in 0..PAGES {
            os.table_frame().ok_or(Stop::Error("no frame"))?;
        }
        for read_only in [FREE, GDT] {
            os.machine.protect(os.table(read_only), true);
        }
        let init = |slot: usize| match slot {
            L4_SLOT => Pte(pte(os.machine.root(), RO)),
            n if n as u64 >= FRAMES => Pte::EMPTY,
            n if n as u64 <= DATA => Pte(pte(os.table(n as u64), RW)),
            n => Pte(pte(os.table(n as u64), RO)),
        };
        let region = Region::build(os, Place::User, 512, &init)?;
        let fixture = Fixture { os, region };
        fixture.put(&[fixture.gdt().0]);
        fixture.call(Nr::SetGdt, [fixture.requests().0, 512, 0, 0, 0]);
        Ok(fixture)
    }

    /// Takes everything back that a probe may have changed.
    pub(super) fn tear_down(self) -> Result<(), Stop> {
        self.call(Nr::SetGdt, [0; 5]);
        self.ext(&[(MMUEXT_SET_LDT, 0, 0)]);
        self.ext(&[(MMUEXT_NEW_USER_BASEPTR, 0, 0)]);
        for n in 0..FRAMES {
            self.ext(&[(MMUEXT_UNPIN_TABLE, self.frame(n).0, 0)]);
        }
        for slot in L4_SLOTS {
            self.update(self.l4().entry(slot).0, 0);
        }
        tear_down(self.os)
    }

    fn frame(&self, n: u64) -> Mfn {
        self.os.table(n)
    }

    /// A page that is mapped writable.
    pub(super) fn data(&self) -> Mfn {
        self.frame(DATA)
    }
    /// A page of zeroes that is mapped read-only.
    pub(super) fn free(&self) -> Mfn {
        self.frame(FREE)
    }
    /// The GDT's page: no descriptors, mapped read-only.
    pub(super) fn gdt(&self) -> Mfn {
        self.frame(GDT)
    }
    /// The L1.
    pub(super) fn l1(&self) -> Mfn {
        self.frame(L1)
    }
    /// The L2; slot 0 leads to the L1.
    pub(super) fn l2(&self) -> Mfn {
        self.frame(L2)
    }
    /// The L3; slot 0 leads to the L2.
    pub(super) fn l3(&self) -> Mfn {
        self.frame(L3)
    }
    /// The L4 in use.
    pub(super) fn l4(&self) -> Mfn {
        self.os.machine.root()
    }
    /// A frame number past the last of memory.
    pub(super) fn beyond(&self) -> Mfn {
        let last = self.call(
            Nr::MemoryOp,
            [u64::from(XENMEM_MAXIMUM_RAM_PAGE), 0, 0, 0, 0],
        );
        Mfn(last.rc as u64 + 0x1000)
    }
    /// The pfn of [`Fixture::data`].
    pub(super) fn data_pfn(&self) -> Pfn {
        self.os.machine.free_frames().0.add(DATA)
    }
    /// This domain's number: the first is 0, the only one there is here 1.
    pub(super) fn domid(&self) -> u64 {
        u64::from(!self.os.machine.is_privileged())
    }

    /// The empty L1 entry.
    pub(super) fn empty(&self) -> u64 {
        self.l1().entry(EMPTY).0
    }
    /// The L1 entry that maps `mfn`, one of ours.
    pub(super) fn slot_of(&self, mfn: Mfn) -> u64 {
        let n = (0..FRAMES).find(|&n| self.frame(n) == mfn);
        self.l1().entry(n.map_or(L4_SLOT, |n| n as usize)).0
    }
    /// The address that L1 entry `slot` maps.
    pub(super) fn va(&self, slot: usize) -> Vaddr {
        self.region.va(slot)
    }
    /// The address of the requests' page.
    pub(super) fn requests(&self) -> Vaddr {
        self.va(REQUESTS as usize)
    }
    /// The address of [`Fixture::data`].
    pub(super) fn data_va(&self) -> Vaddr {
        self.va(DATA as usize)
    }
    /// An address in our region that has no L1.
    pub(super) fn no_l1(&self) -> Vaddr {
        self.va(0).add(1 << Level::L2.shift())
    }

    /// Writes words from the requests' first on, and forgets the last done count.
    pub(super) fn put(&self, words: &[u64]) {
        let untouched = u64::from(UNTOUCHED) << 32 | u64::from(UNTOUCHED);
        self.store(self.va(OUT as usize), untouched);
        for (i, &word) in words.iter().enumerate() {
            self.store(self.requests().add(i as u64 * 8), word);
        }
    }

    /// A store by the CPU; a fault is ignored.
    pub(super) fn store(&self, va: Vaddr, word: u64) {
        let _ = self.os.machine.touch(va, Access::Write(word));
    }

    /// A use by the CPU: the fault's error code, or -1 for none.
    pub(super) fn fault(&self, va: Vaddr, access: Access) -> Answer {
        let used = self.os.machine.touch(va, access);
        Answer::of(used.map_or_else(|fault| fault.0 as i64, |_| -1))
    }

    /// A load by the CPU.
    pub(super) fn load(&self, va: Vaddr) -> u64 {
        self.os.machine.touch(va, Access::Read).unwrap_or(u64::MAX)
    }

    /// What memory holds at `at`, an entry's frame number left out.
    pub(super) fn peek(&self, at: Maddr) -> u64 {
        self.os.machine.read_pte(at).0 & !Pte::MFN_MASK
    }

    /// The machine beneath, for writes past the hypercalls.
    pub(super) fn machine(&self) -> &dyn crate::machine::Machine {
        self.os.machine
    }

    /// Any hypercall.
    pub(super) fn call(&self, nr: Nr, args: [u64; 5]) -> Answer {
        Answer::of(self.os.machine.call(Cause::Kernel, nr, args))
    }

    /// A hypercall on an array of requests, with a done count.
    pub(super) fn counted(&self, nr: Nr, at: Vaddr, count: u64, foreign: u64) -> Answer {
        let out = self.va(OUT as usize);
        let answer = self.call(nr, [at.0, count, out.0, foreign, 0]);
        let done = match self.load(out) as u32 {
            UNTOUCHED => Done::Untouched,
            done => Done::Written(done),
        };
        Answer { done, ..answer }
    }

    /// `mmu_update` of these requests.
    pub(super) fn updates(&self, requests: &[(u64, u64)], foreign: u64) -> Answer {
        let mut words = [0; 8];
        for (pair, &(ptr, val)) in words.chunks_exact_mut(2).zip(requests) {
            pair.copy_from_slice(&[ptr, val]);
        }
        self.put(&words[..2 * requests.len()]);
        self.counted(
            Nr::MmuUpdate,
            self.requests(),
            requests.len() as u64,
            foreign,
        )
    }

    /// `mmu_update` of one request, and what the entry is then, if it is one of ours.
    pub(super) fn update(&self, ptr: u64, val: u64) -> Answer {
        let answer = self.updates(&[(ptr, val)], SELF);
        let at = Maddr(ptr & !MMU_COMMAND_MASK);
        let ours = at.mfn() == self.l4() || (0..FRAMES).any(|n| self.frame(n) == at.mfn());
        if ours {
            answer.with(self.peek(at))
        } else {
            answer
        }
    }

    /// `mmuext_op` of these operations on our own frames.
    pub(super) fn ext(&self, ops: &[(u32, u64, u64)]) -> Answer {
        self.ext_of(ops, SELF)
    }

    /// `mmuext_op` with a foreign domain.
    pub(super) fn ext_of(&self, ops: &[(u32, u64, u64)], foreign: u64) -> Answer {
        let mut words = [0; 12];
        for (op, &(cmd, arg1, arg2)) in words.chunks_exact_mut(3).zip(ops) {
            op.copy_from_slice(&[u64::from(cmd), arg1, arg2]);
        }
        self.put(&words[..3 * ops.len()]);
        self.counted(Nr::MmuextOp, self.requests(), ops.len() as u64, foreign)
    }

    /// `update_va_mapping`, and what L1 entry `slot` is then.
    pub(super) fn map(&self, va: Vaddr, val: u64, flags: u64, slot: usize) -> Answer {
        let answer = self.call(Nr::UpdateVaMapping, [va.0, val, flags, 0, 0]);
        answer.with(self.peek(self.l1().entry(slot)))
    }
}
