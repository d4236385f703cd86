//! What TLBs may remember of a frame's earlier use. A frame that has lost its last type may still
//! be written through a TLB that remembers a writable mapping (XSA-401), or walked by a CPU that
//! remembers it as a table (XSA-286). Before it is used as something else every TLB is flushed, and
//! not after: what is validated must not change any more, what is written must not be walked.
//!
//! Where other vCPUs may run meanwhile, an operation that finds such a frame changes nothing and is
//! put off ([`Refusal::Unfinished`], [`Mm::awaits_flush`]): the host flushes, then it is asked for
//! again. Comes in: a frame and what it is to become. Goes out: a flush logged, and whether the
//! operation must wait for it.
//!
//! Nobody waits for ever. Whoever handles a trap does not let go of the rules between the flush and
//! asking again; so nobody can take a type from the frame in between, and what had lost it before
//! the flush is never waited for again.

use super::frame::{Frame, FrameFlags, FrameType};
use super::{Effects, Mm, Refusal};
use hypercalls::Mfn;

/// What a flush of other vCPUs takes, in entries' work: 60 µs, where an entry takes 4 ns.
const FLUSH_WORK: u64 = 1 << 14;

impl Frame {
    /// Its last reference as `kind` went, in the time between two flushes that is `epoch`.
    #[inline]
    pub(super) fn retire(&mut self, kind: FrameType, epoch: u32) {
        self.kind = FrameType::None;
        self.retired = epoch;
        let table = kind != FrameType::Writable;
        self.flags.set(FrameFlags::WAS_TABLE, table);
    }

    /// Whether it is of no type, and a TLB may remember it as anything but writable memory.
    #[inline]
    pub(super) fn was_table(&self, epoch: u32) -> bool {
        let free = self.kind == FrameType::None && self.retired == epoch;
        free && self.flags.contains(FrameFlags::WAS_TABLE)
    }

    /// Whether it must be forgotten before it becomes `wanted`; `others`: by other vCPUs too.
    ///
    /// This vCPU runs no guest code before the next flush that is logged for it, and the entry or
    /// base pointer by which it could walk a table did not go without one; but for user mode's base
    /// pointer, whose translations went when the CPU came to the kernel's.
    fn is_remembered(&self, wanted: FrameType, epoch: u32, others: bool) -> bool {
        let free = self.kind == FrameType::None && self.retired == epoch;
        let was_table = self.flags.contains(FrameFlags::WAS_TABLE);
        free && match wanted {
            FrameType::Writable => others && was_table,
            _ => others || !was_table,
        }
    }
}

impl Mm {
    /// Takes a general and a type reference on `mfn` as `wanted`; what it was before. If that is
    /// nothing the caller validates it: every TLB has forgotten what it was.
    pub(super) fn hold_as(&mut self, mfn: Mfn, wanted: FrameType) -> Result<FrameType, Refusal> {
        self.forget(mfn, wanted)?;
        self.frames.hold_as(mfn, wanted)
    }

    /// Has every TLB forget what `mfn` was, if it is of no type and becomes `wanted`.
    ///
    /// # Errors
    /// If that has to be waited for; nothing changed then.
    pub(super) fn forget(&mut self, mfn: Mfn, wanted: FrameType) -> Result<(), Refusal> {
        let others = self.vcpus.count_ones() > 1;
        let frame = self.frames.any(mfn);
        if !frame.is_some_and(|frame| frame.is_remembered(wanted, self.epoch, others)) {
            return Ok(());
        }
        self.effects.flush.all(self.vcpus);
        // Whoever sets no limit says that nobody else runs.
        if !others || self.until == u64::MAX {
            return Ok(());
        }
        self.work += FLUSH_WORK;
        self.awaits_flush = true;
        Err(Refusal::Unfinished)
    }

    /// Whether an operation was put off until what is logged is flushed. Then the host takes the
    /// effects, does them, and has the trap handled again before it lets go of the rules.
    #[must_use]
    pub fn awaits_flush(&self) -> bool {
        self.awaits_flush
    }

    /// Everything logged since the last call. The host does it before it handles another trap, and
    /// before the guest runs again on any vCPU that is to flush.
    pub fn take_effects(&mut self) -> Effects {
        if self.effects.flush.vcpus & self.vcpus == self.vcpus {
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.awaits_flush = false;
        std::mem::take(&mut self.effects)
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::fixture::*;
    use hypercalls::{Level, Pte};

    /// A machine whose host runs two vCPUs; page DATA is read-only now, and was not.
    fn retired() -> Machine {
        let mut machine = Machine::new();
        let slot = L1.entry((DATA.0 - FIRST) as usize);
        machine.mm.limit(Some(1 << 20));
        assert_eq!(machine.set(slot, pte(DATA, RO)), Ok(()));
        machine
    }

    /// XSA-401: another vCPU may write to the page until it has flushed.
    #[test]
    fn a_page_is_validated_after_the_flush() {
        for level in Level::ALL {
            let mut machine = retired();
            let refused = machine.mm.pin(&machine.mem, level, DATA);
            assert_eq!(refused, Err(Refusal::Unfinished), "{level:?}");
            assert!(machine.mm.is_over());
            machine.check();
            machine.poke(DATA.entry(7), pte(Mfn(0), URW));
            assert_eq!(machine.mm.take_effects().flush.vcpus, 0b11);
            let refused = machine.pin(level, DATA).expect_err("seen");
            assert_ne!(refused, hypercalls::Errno::ERESTART);
            machine.poke(DATA.entry(7), 0);
            // It was typed as a table for a while, as if one could walk it.
            machine.mm.flush_all(0b11);
            machine.mm.take_effects();
            machine.pin(level, DATA).expect("an empty table");
            machine.check();
        }
    }

    #[test]
    fn so_is_a_page_of_descriptors_and_a_page_below() {
        let mut machine = retired();
        let get = |machine: &mut Machine| machine.mm.get_seg_desc(&machine.mem, DATA);
        assert_eq!(get(&mut machine), Err(Refusal::Unfinished));
        machine.mm.take_effects();
        assert_eq!(get(&mut machine), Ok(()));

        let mut machine = retired();
        for (table, below) in [(FREE.add(2), FREE.add(1)), (FREE.add(1), DATA)] {
            machine.poke(table.entry(3), pte(below, URW));
        }
        let pin = |machine: &mut Machine| machine.mm.pin(&machine.mem, Level::L3, FREE.add(2));
        assert_eq!(pin(&mut machine), Err(Refusal::Unfinished));
        assert_eq!(pin(&mut machine), Err(Refusal::Unfinished), "not before");
        machine.mm.take_effects();
        machine.mm.limit(Some(1 << 20));
        assert_eq!(pin(&mut machine), Ok(()));
        machine.roots.pins.push((Level::L3, FREE.add(2)));
        machine.check();
    }

    /// A table that went is walked until the flush: nothing may be written to it before (XSA-286).
    #[test]
    fn a_table_becomes_data_after_the_flush() {
        let at = FREE.entry(5);
        for other in [false, true] {
            let mut machine = Machine::new();
            machine.pin(Level::L1, FREE).expect("an empty table");
            machine.mm.take_effects();
            machine.mm.limit(Some(1 << 20));
            machine.unpin(FREE).expect("pinned");
            let slot = L1.entry(100);
            let write = |machine: &mut Machine| match other {
                true => machine.set(slot, pte(FREE, RW)),
                false => machine.set(at, pte(Mfn(0), URW)),
            };
            assert_eq!(write(&mut machine), Err(hypercalls::Errno::ERESTART));
            assert_eq!(machine.peek(at), 0);
            let clear = machine.mm.clear_page(&machine.mem, FREE);
            assert_eq!(clear, Err(Refusal::Unfinished));
            machine.mm.take_effects();
            assert_eq!(write(&mut machine), Ok(()));
            machine.check();
        }
    }

    /// One vCPU has nobody to wait for, and whoever sets no limit neither.
    #[test]
    fn a_vcpu_alone_does_not_wait() {
        let mut machine = retired();
        machine.mm.limit(None);
        assert_eq!(machine.pin(Level::L1, DATA), Ok(()));
        assert_eq!(machine.mm.take_effects().flush.vcpus, 0b11);

        let mut machine = retired();
        machine.mm.set_vcpus(1);
        assert_eq!(machine.pin(Level::L1, DATA), Ok(()));
        assert_eq!(machine.mm.take_effects().flush.vcpus, 1);
        machine.unpin(DATA).expect("pinned");
        let data = machine
            .mm
            .set_pte(&machine.mem, DATA.entry(0), Pte(5), Default::default());
        assert_eq!(data, Ok(()));
        assert!(machine.mm.take_effects().flush.is_empty());
    }
}
