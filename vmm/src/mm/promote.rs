//! Promotion: a frame that nobody uses becomes a table, once every entry in it is found allowed
//! and has its references; and demotion, when the last one that used it as a table is gone. A
//! promotion that fails gives back everything it took. Depth is bounded by the level: a table's
//! entries are tables of the level below, or linear maps, which go one deep.

use super::frame::{FrameFlags, FrameType};
use super::{Mm, Owner, Refusal, rules};
use crate::memory::{BadMaddr, Memory};
use hypercalls::pte::{ENTRIES, HYPERVISOR_L4_SLOTS};
use hypercalls::{Level, Mfn, Pte, Vaddr};
use zerocopy::IntoBytes;

/// The L4 slot whose entry is the hypervisor's own mapping; its other slots stay empty.
pub(super) const HV_SLOT: usize = Vaddr(0xffff_8080_0000_0000).slot(Level::L4);

/// The entries of one table, copied once.
pub(super) type Entries = [u64; ENTRIES];

/// A copy of table `mfn`.
pub(super) fn copy_table(mem: &Memory, mfn: Mfn) -> Result<Entries, BadMaddr> {
    let mut entries = [0; ENTRIES];
    mem.read(mfn.maddr(), entries.as_mut_bytes())?;
    Ok(entries)
}

/// Whether `slot` of a table at `level` is the hypervisor's.
pub(super) fn is_hv_slot(level: Level, slot: usize) -> bool {
    level == Level::L4 && HYPERVISOR_L4_SLOTS.contains(&slot)
}

/// The guest's present entries of a table at `level`, with their slots.
fn present(level: Level, entries: &Entries) -> impl DoubleEndedIterator<Item = (usize, Pte)> {
    let all = entries
        .iter()
        .enumerate()
        .map(|(slot, &raw)| (slot, Pte(raw)));
    all.filter(move |&(slot, pte)| pte.is_present() && !is_hv_slot(level, slot))
}

impl Mm {
    /// Takes a reference on `mfn` as a table of `level`, promoting it if it is free.
    pub(super) fn take_table(
        &mut self,
        mem: &Memory,
        mfn: Mfn,
        level: Level,
    ) -> Result<(), Refusal> {
        let wanted = FrameType::from(level);
        let frame = self.frames.owned_mut(mfn);
        let frame = frame.ok_or(Refusal::BadFrame { mfn })?;
        let has = frame.kind;
        if has != FrameType::None && has != wanted {
            return Err(Refusal::WrongType { mfn, has, wanted });
        }
        frame.hold(mfn)?;
        frame.typed = frame.typed.saturating_add(1);
        frame.kind = wanted;
        if has == wanted {
            return Ok(());
        }
        self.promote(mem, mfn, level)
            .inspect_err(|_| self.unmake(mfn))
    }

    /// Drops a reference on a table; the last one demotes it.
    pub(super) fn drop_table(&mut self, mem: &Memory, mfn: Mfn, level: Level) {
        let Some(frame) = self.frames.owned_mut(mfn) else {
            return;
        };
        if frame.typed > 1 {
            frame.typed -= 1;
            return frame.release();
        }
        self.work += ENTRIES as u64;
        if let Ok(entries) = copy_table(mem, mfn) {
            self.drop_entries(mem, mfn, level, &entries);
        }
        self.unmake(mfn);
    }

    /// Drops the only type reference of a frame whose entries hold none any more.
    pub(super) fn unmake(&mut self, mfn: Mfn) {
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release();
            frame.typed = 0;
            frame.linear = 0;
            frame.kind = FrameType::None;
        }
    }

    /// Validates every entry of `mfn`, already typed, and stores the adjusted ones.
    fn promote(&mut self, mem: &Memory, mfn: Mfn, level: Level) -> Result<(), Refusal> {
        self.work += ENTRIES as u64;
        let entries = copy_table(mem, mfn)?;
        self.take_entries(mem, mfn, level, &entries)?;
        self.flush_stale(mfn);
        for (slot, &raw) in entries.iter().enumerate() {
            let value = self.validated(level, slot, Pte(raw));
            if value.0 != raw {
                self.store(mem, mfn.entry(slot), Pte(raw), value)?;
            }
        }
        self.mark(mfn, FrameFlags::WALKED);
        Ok(())
    }

    /// Takes all entries' references, or none.
    fn take_entries(
        &mut self,
        mem: &Memory,
        mfn: Mfn,
        level: Level,
        entries: &Entries,
    ) -> Result<(), Refusal> {
        if level == Level::L1 {
            return self.take_leaves(entries);
        }
        for (slot, pte) in present(level, entries) {
            let taken = rules::check_flags(level, pte, false)
                .and_then(|()| self.take_entry(mem, mfn, level, pte));
            if let Err(refusal) = taken {
                for (_, pte) in present(level, entries).take_while(|&(done, _)| done < slot) {
                    self.drop_entry(mem, mfn, level, pte);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// As [`Mm::take_entries`] for an L1: most tables are, so this is the loop that counts.
    fn take_leaves(&mut self, entries: &Entries) -> Result<(), Refusal> {
        let io = !self.io.is_empty();
        for (slot, &raw) in entries.iter().enumerate() {
            let pte = Pte(raw);
            if !pte.is_present() {
                continue;
            }
            let taken = rules::check_flags(Level::L1, pte, io)
                .and_then(|()| self.take_leaf(pte, Owner::Guest));
            if let Err(refusal) = taken {
                self.drop_leaves(entries.get(..slot).unwrap_or_default());
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Drops the references of these L1 entries.
    fn drop_leaves(&mut self, entries: &[u64]) {
        for pte in entries.iter().map(|&raw| Pte(raw)) {
            if pte.is_present() {
                self.drop_leaf(pte);
            }
        }
    }

    /// Drops the references of all entries of a table.
    fn drop_entries(&mut self, mem: &Memory, mfn: Mfn, level: Level, entries: &Entries) {
        if level == Level::L1 {
            return self.drop_leaves(entries);
        }
        for (_, pte) in present(level, entries) {
            self.drop_entry(mem, mfn, level, pte);
        }
    }

    /// What `slot` of a promoted table holds where the guest had written `raw`.
    fn validated(&self, level: Level, slot: usize, raw: Pte) -> Pte {
        match is_hv_slot(level, slot) {
            false => rules::adjust(level, raw),
            true if slot == HV_SLOT => self.hv_l4_entry,
            true => Pte::EMPTY,
        }
    }

    /// A frame that had writable mappings and now may not have: no TLB may still hold one.
    pub(super) fn flush_stale(&mut self, mfn: Mfn) {
        let Some(frame) = self.frames.any_mut(mfn) else {
            return;
        };
        if frame.flags.contains(FrameFlags::STALE_WRITABLE) {
            frame.flags.remove(FrameFlags::STALE_WRITABLE);
            self.effects.flush.all(self.vcpus);
        }
    }

    /// Sets a flag of a frame.
    pub(super) fn mark(&mut self, mfn: Mfn, flag: FrameFlags) {
        if let Some(frame) = self.frames.any_mut(mfn) {
            frame.flags |= flag;
        }
    }
}
