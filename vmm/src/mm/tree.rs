//! Promotion and demotion of whole trees, a table at a time: no recursion, and no more at once than
//! a hypercall may do. A table above L1 that is under way is a [`Visit`]; those a tree has under way
//! are a [`Climb`], which can be left and taken up again at any entry. An L1 is done in one go.
//!
//! While a climb is under way its tables have their types, and no other operation of the rules
//! runs before it is over (see `pending`): nobody sees a tree that is half one thing and half
//! another but the CPU, for which nothing is reachable through it yet, or everything still right.

use super::frame::{FrameFlags, FrameType};
use super::promote::is_hv_slot;
use super::{Mm, Refusal, rules};
use crate::memory::Memory;
use arrayvec::ArrayVec;
use hypercalls::pte::ENTRIES;
use hypercalls::{Level, Mfn, Pte};

/// Tables under way at once, at most: two a level above L1, as linear maps go one deep.
const DEPTH: usize = 6;

/// What is being done to a table above L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its entries' references are being taken.
    Promote,
    /// They are being dropped, then the table is none any more.
    Demote,
}

/// A table above L1 that is under way: entries `next..end` are still to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    table: Mfn,
    level: Level,
    below: Level,
    way: Way,
    next: usize,
    end: usize,
}

impl Visit {
    /// All of a table; none of an L1, which needs no visit.
    fn new(table: Mfn, level: Level, way: Way) -> Option<Visit> {
        Some(Visit {
            table,
            level,
            below: level.below()?,
            way,
            next: 0,
            end: ENTRIES,
        })
    }

    fn levels(&self) -> (Level, Level) {
        (self.level, self.below)
    }

    /// Undoes the first `done` entries of a promotion instead of going on with it.
    fn undo(&mut self, done: usize) {
        (self.way, self.next, self.end) = (Way::Demote, 0, done);
    }
}

/// A tree under way.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    stack: ArrayVec<Visit, DEPTH>,
    refused: Option<Refusal>,
}

impl Climb {
    /// One that begins with `visit`.
    pub(super) fn new(visit: Visit) -> Climb {
        let mut stack = ArrayVec::new();
        stack.push(visit);
        Climb {
            stack,
            refused: None,
        }
    }

    /// What came of it, once it is over.
    pub(super) fn result(&self) -> Result<(), Refusal> {
        self.refused.map_or(Ok(()), Err)
    }
}

/// What a visit needs next.
enum Next {
    /// Its table is done.
    Done,
    /// This table below must be done first.
    Below(Visit),
    /// More time.
    Later,
}

impl Mm {
    /// Goes on with a climb until it is over or the time is; whether it is over.
    pub(super) fn climb(&mut self, mem: &Memory, climb: &mut Climb) -> bool {
        while let Some(mut visit) = climb.stack.pop() {
            if visit.way == Way::Promote && climb.refused.is_some() {
                // The table below it, of the last entry, was refused and is undone.
                visit.undo(visit.next.saturating_sub(1));
            }
            let next = match visit.way {
                Way::Promote => self.promote_on(mem, &mut visit, &mut climb.refused),
                Way::Demote => self.demote_on(mem, &mut visit),
            };
            let below = match next {
                Next::Done => continue,
                Next::Below(below) => Some(below),
                Next::Later => None,
            };
            climb.stack.push(visit);
            match below {
                // There is room for all that can be: one that finds none was made up by writes
                // behind the rules' back, and leads nowhere.
                Some(below) => climb.stack.try_push(below).unwrap_or_default(),
                None => return false,
            }
        }
        true
    }

    /// Takes a reference on `mfn` as a table of `level`; the visit that promotes it, if it was free
    /// and is above L1.
    pub(super) fn begin_take(
        &mut self,
        mem: &Memory,
        mfn: Mfn,
        level: Level,
    ) -> Result<Option<Visit>, Refusal> {
        let wanted = FrameType::from(level);
        if self.hold_as(mfn, wanted)? == wanted {
            return Ok(None);
        }
        if let Some(visit) = Visit::new(mfn, level, Way::Promote) {
            return Ok(Some(visit));
        }
        self.promote_leaves(mem, mfn)
            .inspect_err(|_| self.unmake(mfn))?;
        self.mark(mfn, FrameFlags::WALKED);
        Ok(None)
    }

    /// Drops a reference on a table; the visit that demotes it, if it was the last and the table is
    /// above L1.
    pub(super) fn begin_drop(&mut self, mem: &Memory, mfn: Mfn, level: Level) -> Option<Visit> {
        let frame = self.frames.owned_mut(mfn)?;
        if frame.kind != FrameType::from(level) {
            return None;
        }
        if frame.typed > 1 {
            frame.typed -= 1;
            frame.release();
            return None;
        }
        let visit = Visit::new(mfn, level, Way::Demote);
        if visit.is_none() {
            self.demote_leaves(mem, mfn);
            self.unmake(mfn);
        }
        visit
    }

    fn promote_on(
        &mut self,
        mem: &Memory,
        visit: &mut Visit,
        refused: &mut Option<Refusal>,
    ) -> Next {
        while visit.next < visit.end {
            if self.is_over() {
                return Next::Later;
            }
            let slot = visit.next;
            visit.next += 1;
            match self.promote_entry(mem, visit, slot) {
                Ok(None) => {}
                Ok(Some(below)) => return Next::Below(below),
                Err(Refusal::Unfinished) => {
                    visit.next = slot;
                    return Next::Later;
                }
                Err(refusal) => {
                    *refused = Some(refusal);
                    visit.undo(slot);
                    return self.demote_on(mem, visit);
                }
            }
        }
        self.mark(visit.table, FrameFlags::WALKED);
        Next::Done
    }

    /// Takes the references of one entry and stores it adjusted.
    fn promote_entry(
        &mut self,
        mem: &Memory,
        visit: &Visit,
        slot: usize,
    ) -> Result<Option<Visit>, Refusal> {
        self.work += 1;
        let at = visit.table.entry(slot);
        let raw = Pte(mem.read_u64(at)?);
        let mut below = None;
        if raw.is_present() && !is_hv_slot(visit.level, slot) {
            rules::check_flags(visit.level, raw, false)?;
            below = self.begin_entry(mem, visit.table, visit.levels(), raw)?;
        }
        let value = self.validated(visit.level, slot, raw);
        if value != raw {
            self.store(mem, at, raw, value)?;
        }
        Ok(below)
    }

    fn demote_on(&mut self, mem: &Memory, visit: &mut Visit) -> Next {
        while visit.next < visit.end {
            if self.is_over() {
                return Next::Later;
            }
            let slot = visit.next;
            visit.next += 1;
            self.work += 1;
            // The table is in memory: its types say so.
            let raw = Pte(mem.read_u64(visit.table.entry(slot)).unwrap_or_default());
            if raw.is_present()
                && !is_hv_slot(visit.level, slot)
                && let Some((target, level)) = self.end_entry(visit.table, visit.levels(), raw)
                && let Some(below) = self.begin_drop(mem, target, level)
            {
                return Next::Below(below);
            }
        }
        self.unmake(visit.table);
        Next::Done
    }
}
