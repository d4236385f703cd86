//! Promotion: a frame that nobody uses becomes a table, once every entry in it is found allowed
//! and has its references; and demotion, when the last one that used it as a table is gone. A
//! promotion that fails gives back everything it took. Here is what one table of 512 leaves needs,
//! in one pass over it, and what all levels share; `tree` does the levels above.

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

impl Mm {
    /// Drops the only type reference of a frame whose entries hold none any more.
    pub(super) fn unmake(&mut self, mfn: Mfn) {
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release();
            frame.typed = 0;
            frame.linear = 0;
            frame.kind = FrameType::None;
        }
    }

    /// Takes the references of all entries of an L1, already typed, and stores them adjusted; or
    /// changes nothing.
    pub(super) fn promote_leaves(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        self.work += ENTRIES as u64;
        let mut entries = copy_table(mem, mfn)?;
        let mut adjusted = false;
        for slot in 0..ENTRIES {
            let pte = Pte(entries[slot]);
            if !pte.is_present() {
                continue;
            }
            let taken = rules::check_flags(Level::L1, pte, self.is_io(pte))
                .and_then(|()| self.take_leaf(pte, Owner::Guest));
            if let Err(refusal) = taken {
                self.drop_leaves(&entries[..slot]);
                return Err(refusal);
            }
            let value = rules::adjust(Level::L1, pte);
            adjusted |= value != pte;
            entries[slot] = value.0;
        }
        match adjusted {
            true => self.store_table(mem, mfn, &entries),
            false => Ok(()),
        }
    }

    /// Drops the references of all entries of an L1.
    pub(super) fn demote_leaves(&mut self, mem: &Memory, mfn: Mfn) {
        self.work += ENTRIES as u64;
        if let Ok(entries) = copy_table(mem, mfn) {
            self.drop_leaves(&entries);
        }
    }

    fn drop_leaves(&mut self, entries: &[u64]) {
        for pte in entries.iter().map(|&raw| Pte(raw)) {
            if pte.is_present() {
                self.drop_leaf(pte);
            }
        }
    }

    /// Stores a whole table that nothing leads to. One that once was a table is stored entry by
    /// entry where the host must be shown what changes.
    pub(super) fn store_table(
        &mut self,
        mem: &Memory,
        mfn: Mfn,
        entries: &Entries,
    ) -> Result<(), Refusal> {
        let frame = self.frames.any(mfn);
        let walked = frame.is_some_and(|frame| frame.flags.contains(FrameFlags::WALKED));
        if !walked || self.shown.is_none() {
            mem.write(mfn.maddr(), entries.as_bytes())?;
            return Ok(());
        }
        let held = copy_table(mem, mfn)?;
        for (slot, (&old, &new)) in held.iter().zip(entries).enumerate() {
            if old != new {
                self.store(mem, mfn.entry(slot), Pte(old), Pte(new))?;
            }
        }
        Ok(())
    }

    /// What `slot` of a promoted table holds where the guest had written `raw`.
    pub(super) fn validated(&self, level: Level, slot: usize, raw: Pte) -> Pte {
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
