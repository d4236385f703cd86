//! The references one present entry stands for: taken before it is stored, dropped after it is
//! gone. A leaf holds its frame, writable or not; an upper entry holds a table of the level below,
//! or, read-only, one of its own level (a linear map).

use super::frame::{Frame, FrameType};
use super::tree::Visit;
use super::{Mm, Owner, Refusal};
use crate::memory::Memory;
use hypercalls::{Level, Mfn, Pte, PteFlags};

impl Mm {
    /// Takes the references of `pte`, a present entry of table `table` at `level`, above L1.
    pub(super) fn take_entry(
        &mut self,
        mem: &Memory,
        table: Mfn,
        (level, below): (Level, Level),
        pte: Pte,
    ) -> Result<(), Refusal> {
        match self.frames.kind(pte.mfn()) == FrameType::from(level) {
            true => self.take_linear(table, pte),
            false => self.take_table(mem, pte.mfn(), below),
        }
    }

    /// As [`Mm::take_entry`], but the visit that promotes the table it names is the caller's.
    pub(super) fn begin_entry(
        &mut self,
        mem: &Memory,
        table: Mfn,
        (level, below): (Level, Level),
        pte: Pte,
    ) -> Result<Option<Visit>, Refusal> {
        match self.frames.kind(pte.mfn()) == FrameType::from(level) {
            true => self.take_linear(table, pte).map(|()| None),
            false => self.begin_take(mem, pte.mfn(), below),
        }
    }

    /// Which table's reference goes with `pte`, an entry above L1 that is gone. An entry that names
    /// a frame which is not the table it should be was not written by these rules (see [`Mm`]): it
    /// holds nothing, and is not followed, so the depth stays bounded.
    pub(super) fn end_entry(
        &mut self,
        table: Mfn,
        (level, below): (Level, Level),
        pte: Pte,
    ) -> Option<(Mfn, Level)> {
        let target = pte.mfn();
        let kind = self.frames.kind(target);
        if kind == FrameType::from(below) {
            return Some((target, below));
        }
        if kind == FrameType::from(level) && self.is_linear(table, target) {
            self.unlink_linear(table, target);
            return Some((target, level));
        }
        None
    }

    /// Takes the references of a present L1 entry.
    #[inline]
    pub(super) fn take_leaf(&mut self, pte: Pte, owner: Owner) -> Result<(), Refusal> {
        let (mfn, epoch) = (pte.mfn(), self.epoch);
        let Some(frame) = self.frames.owned_mut(mfn) else {
            return self.take_foreign_leaf(mfn);
        };
        match owner {
            Owner::Io => Err(Refusal::NotForeign { mfn }),
            Owner::Guest if !pte.has(PteFlags::RW) => frame.hold(mfn),
            Owner::Guest if frame.was_table(epoch) => self.take_retired(mfn),
            Owner::Guest => frame.hold_writable(mfn),
        }
    }

    /// A writable leaf of a frame that was a table.
    #[cold]
    fn take_retired(&mut self, mfn: Mfn) -> Result<(), Refusal> {
        self.forget(mfn, FrameType::Writable)?;
        let frame = self.frames.owned_mut(mfn);
        frame.ok_or(Refusal::BadFrame { mfn })?.hold_writable(mfn)
    }

    /// Drops what [`Mm::take_leaf`] took.
    #[inline]
    pub(super) fn drop_leaf(&mut self, pte: Pte) {
        let epoch = self.epoch;
        match self.frames.owned_mut(pte.mfn()) {
            Some(frame) if pte.has(PteFlags::RW) => {
                frame.release_typed(FrameType::Writable, epoch);
            }
            Some(frame) => frame.release(),
            None => {}
        }
    }

    /// A leaf of a frame that is not the guest's: I/O memory it may map, or a refusal.
    #[cold]
    fn take_foreign_leaf(&self, mfn: Mfn) -> Result<(), Refusal> {
        if self.frames.any(mfn).is_some() {
            Err(Refusal::NotOwned { mfn })
        } else if self.io.contains(&mfn) {
            Ok(())
        } else if mfn == Pte(u64::MAX).mfn() {
            Err(Refusal::NoFrame { mfn })
        } else {
            Err(Refusal::NotRam { mfn })
        }
    }

    /// A read-only map of a table of `table`'s own level. One of itself needs no reference.
    fn take_linear(&mut self, table: Mfn, pte: Pte) -> Result<(), Refusal> {
        let mfn = pte.mfn();
        if pte.has(PteFlags::RW) {
            return Err(Refusal::LinearWritable { mfn });
        }
        if mfn == table {
            return Ok(());
        }
        self.link_linear(table, mfn)?;
        let target = self.frames.owned_mut(mfn);
        let held = target.ok_or(Refusal::BadFrame { mfn });
        match held.and_then(|frame| {
            frame
                .hold(mfn)
                .map(|()| frame.typed = frame.typed.saturating_add(1))
        }) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.unlink_linear(table, mfn);
                Err(refusal)
            }
        }
    }

    /// Counts a linear map, unless that made one that is two deep.
    fn link_linear(&mut self, table: Mfn, mfn: Mfn) -> Result<(), Refusal> {
        let deep = Refusal::LinearDepth { mfn };
        let maps = self.frames.any(table).map_or(-1, |frame| frame.linear);
        let mapped = self.frames.any(mfn).map_or(1, |frame| frame.linear);
        if maps < 0 || mapped > 0 || maps == i16::MAX || mapped == i16::MIN {
            return Err(deep);
        }
        self.add_linear(table, 1);
        self.add_linear(mfn, -1);
        Ok(())
    }

    /// Whether one of `table`'s linear maps may be of `mfn`.
    fn is_linear(&self, table: Mfn, mfn: Mfn) -> bool {
        let maps = self.frames.any(table).map_or(0, |frame| frame.linear);
        let mapped = self.frames.any(mfn).map_or(0, |frame| frame.linear);
        maps > 0 && mapped < 0
    }

    fn unlink_linear(&mut self, table: Mfn, mfn: Mfn) {
        self.add_linear(table, -1);
        self.add_linear(mfn, 1);
    }

    fn add_linear(&mut self, mfn: Mfn, by: i16) {
        if let Some(Frame { linear, .. }) = self.frames.any_mut(mfn) {
            *linear = linear.saturating_add(by);
        }
    }
}
