//! The frame table: for each machine frame its type, how many references use it as that type, and
//! how many use it at all. A type reference always comes with a general one, so a frame's type
//! count never exceeds its general count. The type changes only while no one uses it.

use super::Refusal;
use bitflags::bitflags;
use hypercalls::{Level, Mfn};
use std::ops::Range;

/// What a frame is in use as (`PGT_*` in Xen's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameType {
    /// Nothing in particular: no type reference.
    #[default]
    None = 0,
    /// A validated page table.
    L1 = 1,
    /// A validated page directory.
    L2 = 2,
    /// A validated page-directory-pointer table.
    L3 = 3,
    /// A validated PML4.
    L4 = 4,
    /// A validated page of segment descriptors.
    SegDesc = 5,
    /// Plain memory with writable mappings.
    Writable = 8,
}

impl FrameType {
    /// The level, if it is a table.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            FrameType::L1 => Some(Level::L1),
            FrameType::L2 => Some(Level::L2),
            FrameType::L3 => Some(Level::L3),
            FrameType::L4 => Some(Level::L4),
            FrameType::None | FrameType::SegDesc | FrameType::Writable => None,
        }
    }
}

impl From<Level> for FrameType {
    fn from(level: Level) -> Self {
        match level {
            Level::L1 => FrameType::L1,
            Level::L2 => FrameType::L2,
            Level::L3 => FrameType::L3,
            Level::L4 => FrameType::L4,
        }
    }
}

bitflags! {
    /// What is remembered of a frame beside its counts.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct FrameFlags: u8 {
        /// Pinned: one reference is the pin's.
        const PINNED = 1 << 0;
        /// Was a table once: the CPU, or a host that shadows tables, may remember its entries.
        const WALKED = 1 << 1;
        /// Its last type was a table's or descriptors' (see `stale`).
        const WAS_TABLE = 1 << 2;
        /// The hypervisor's, but the guest may map it.
        const SHARED = 1 << 3;
    }
}

/// One frame's record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) general: u32,
    pub(super) typed: u32,
    /// Flushes of every TLB there had been when its last type went (see `stale`).
    pub(super) retired: u32,
    /// Above 0: entries here that map other tables of this level. Below: such entries elsewhere
    /// that map this one. Never both, so linear maps are one deep and have no cycles.
    pub(super) linear: i16,
    pub(super) kind: FrameType,
    pub(super) flags: FrameFlags,
}

const _: () = assert!(size_of::<Frame>() <= 16);

impl Frame {
    /// Takes a general reference.
    #[inline]
    pub(super) fn hold(&mut self, mfn: Mfn) -> Result<(), Refusal> {
        self.general = self
            .general
            .checked_add(1)
            .ok_or(Refusal::TooManyReferences { mfn })?;
        Ok(())
    }

    /// Drops a general reference.
    #[inline]
    pub(super) fn release(&mut self) {
        self.general = self.general.saturating_sub(1);
    }

    /// Takes a general and a writable reference.
    #[inline]
    pub(super) fn hold_writable(&mut self, mfn: Mfn) -> Result<(), Refusal> {
        let has = self.kind;
        if has != FrameType::Writable && has != FrameType::None {
            return Err(Refusal::NotWritable { mfn, has });
        }
        self.hold(mfn)?;
        self.kind = FrameType::Writable;
        self.typed = self.typed.saturating_add(1);
        Ok(())
    }

    /// Drops a general reference and one as `kind`, writable or descriptors. If the frame is not in
    /// use as that, the entry that says so was not written by these rules: no type to drop.
    #[inline]
    pub(super) fn release_typed(&mut self, kind: FrameType, epoch: u32) {
        self.release();
        if self.kind != kind {
            return;
        }
        self.typed = self.typed.saturating_sub(1);
        if self.typed == 0 {
            self.retire(kind, epoch);
        }
    }
}

/// All frames' records.
#[derive(Debug)]
pub(super) struct FrameTable {
    frames: Vec<Frame>,
    guest: Range<u64>,
}

impl FrameTable {
    /// Records for `frames` frames, of which those in `guest` are the guest's.
    pub(super) fn new(frames: u64, guest: Range<Mfn>) -> Self {
        let frames = vec![Frame::default(); usize::try_from(frames).unwrap_or(0)];
        let guest = guest.start.0..guest.end.0.min(frames.len() as u64);
        FrameTable { frames, guest }
    }

    /// The record of any frame of the machine.
    #[inline]
    pub(super) fn any(&self, mfn: Mfn) -> Option<&Frame> {
        self.frames.get(usize::try_from(mfn.0).ok()?)
    }

    /// As [`FrameTable::any`], to change it.
    #[inline]
    pub(super) fn any_mut(&mut self, mfn: Mfn) -> Option<&mut Frame> {
        self.frames.get_mut(usize::try_from(mfn.0).ok()?)
    }

    /// The record of a frame that the guest may use.
    #[inline]
    pub(super) fn owned(&self, mfn: Mfn) -> Option<&Frame> {
        let frame = self.any(mfn)?;
        self.is_owned(mfn, frame).then_some(frame)
    }

    /// Takes a general and a type reference on `mfn` as `wanted`; what it was before. A frame that
    /// was free is typed at once, and the caller validates it.
    pub(super) fn hold_as(&mut self, mfn: Mfn, wanted: FrameType) -> Result<FrameType, Refusal> {
        let frame = self.owned_mut(mfn).ok_or(Refusal::BadFrame { mfn })?;
        let has = frame.kind;
        if has != FrameType::None && has != wanted {
            return Err(Refusal::WrongType { mfn, has, wanted });
        }
        frame.hold(mfn)?;
        frame.typed = frame.typed.saturating_add(1);
        frame.kind = wanted;
        Ok(has)
    }

    /// As [`FrameTable::owned`], to change it.
    #[inline]
    pub(super) fn owned_mut(&mut self, mfn: Mfn) -> Option<&mut Frame> {
        let guest = self.guest.contains(&mfn.0);
        let frame = self.any_mut(mfn)?;
        (guest || frame.flags.contains(FrameFlags::SHARED)).then_some(frame)
    }

    /// The records of the guest's own frames, and the first of these.
    #[inline]
    pub(super) fn guest_mut(&mut self) -> (Mfn, &mut [Frame]) {
        let (start, end) = (self.guest.start as usize, self.guest.end as usize);
        let frames = self.frames.get_mut(start..end).unwrap_or_default();
        (Mfn(self.guest.start), frames)
    }

    /// What the frame is in use as; nothing if there is no such frame.
    #[inline]
    pub(super) fn kind(&self, mfn: Mfn) -> FrameType {
        self.any(mfn).map_or(FrameType::None, |frame| frame.kind)
    }

    #[inline]
    fn is_owned(&self, mfn: Mfn, frame: &Frame) -> bool {
        self.guest.contains(&mfn.0) || frame.flags.contains(FrameFlags::SHARED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writable_references_exclude_other_types_until_the_last_goes() {
        let mut frame = Frame::default();
        frame.hold_writable(Mfn(1)).expect("free frame");
        frame.hold_writable(Mfn(1)).expect("writable frame");
        frame.release_typed(FrameType::Writable, 1);
        assert_eq!((frame.kind, frame.typed), (FrameType::Writable, 1));
        frame.release_typed(FrameType::Writable, 1);
        assert_eq!((frame.kind, frame.general), (FrameType::None, 0));
        frame.kind = FrameType::L3;
        let refused = frame.hold_writable(Mfn(1)).expect_err("a table");
        assert_eq!(refused.name(), "NotWritable");
        assert_eq!(frame.general, 0);
    }

    #[test]
    fn a_release_as_something_else_leaves_the_type() {
        let mut frame = Frame {
            general: 2,
            typed: 1,
            kind: FrameType::L2,
            ..Frame::default()
        };
        frame.release_typed(FrameType::Writable, 1);
        assert_eq!((frame.kind, frame.typed), (FrameType::L2, 1));
        assert_eq!(frame.general, 1);
    }

    #[test]
    fn only_the_guests_frames_are_owned() {
        let mut table = FrameTable::new(8, Mfn(2)..Mfn(100));
        assert!(table.owned(Mfn(1)).is_none());
        assert!(table.owned(Mfn(2)).is_some() && table.owned_mut(Mfn(7)).is_some());
        assert!(table.owned_mut(Mfn(8)).is_none() && table.owned(Mfn(u64::MAX)).is_none());
        table.any_mut(Mfn(1)).expect("in range").flags |= FrameFlags::SHARED;
        assert!(table.owned(Mfn(1)).is_some());
    }

    #[test]
    fn counts_do_not_wrap() {
        let mut frame = Frame {
            general: u32::MAX,
            ..Frame::default()
        };
        assert!(frame.hold_writable(Mfn(3)).is_err());
        assert_eq!(frame.typed, 0);
    }
}
