//! What keeps tables alive from outside: pins, and the base pointers of vCPUs.

use super::frame::FrameFlags;
use super::{Mm, Refusal};
use crate::memory::Memory;
use hypercalls::{Level, Mfn};

impl Mm {
    /// Pins `mfn` as a table of `level`, promoting it if it is free.
    ///
    /// # Errors
    /// If it cannot be such a table, or is pinned already.
    pub fn pin(&mut self, mem: &Memory, level: Level, mfn: Mfn) -> Result<(), Refusal> {
        self.take_table(mem, mfn, level)?;
        if self.is_pinned(mfn) {
            self.drop_table(mem, mfn, level);
            return Err(Refusal::AlreadyPinned { mfn });
        }
        self.mark(mfn, FrameFlags::PINNED);
        Ok(())
    }

    /// Drops a pin; the table is demoted if nothing else holds it.
    ///
    /// # Errors
    /// If it is not the guest's, or not pinned.
    pub fn unpin(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        let frame = self.frames.owned_mut(mfn);
        let frame = frame.ok_or(Refusal::BadFrame { mfn })?;
        match frame.kind.level() {
            Some(level) if frame.flags.contains(FrameFlags::PINNED) => {
                frame.flags.remove(FrameFlags::PINNED);
                self.drop_table(mem, mfn, level);
                Ok(())
            }
            _ => Err(Refusal::NotPinned { mfn }),
        }
    }

    /// Whether the frame is pinned.
    #[must_use]
    pub fn is_pinned(&self, mfn: Mfn) -> bool {
        let frame = self.frames.any(mfn);
        frame.is_some_and(|frame| frame.flags.contains(FrameFlags::PINNED))
    }

    /// Makes `new` a base pointer in the place of `old`: takes an L4 reference on it, then drops
    /// the old one's.
    ///
    /// # Errors
    /// If `new` cannot be an L4; `old` is held as before then.
    pub fn new_baseptr(&mut self, mem: &Memory, old: Option<Mfn>, new: Mfn) -> Result<(), Refusal> {
        self.take_table(mem, new, Level::L4)?;
        if let Some(old) = old {
            self.drop_table(mem, old, Level::L4);
        }
        Ok(())
    }

    /// Gives up base pointer `old`: a user base pointer set to none, or a vCPU that goes.
    pub fn drop_baseptr(&mut self, mem: &Memory, old: Mfn) {
        self.drop_table(mem, old, Level::L4);
    }
}
