//! Promotion: a frame that nobody uses becomes a table, once every entry in it is found allowed
//! and has its references; and demotion, when the last one that used it as a table is gone. A
//! promotion that fails gives back everything it took. Here is what all levels share; `leaves` does
//! L1 tables, `tree` the levels above.

use super::frame::FrameFlags;
use super::{Mm, Refusal, rules};
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
        let epoch = self.epoch;
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release();
            frame.typed = 0;
            frame.linear = 0;
            let kind = frame.kind;
            frame.retire(kind, epoch);
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

    /// Sets a flag of a frame.
    pub(super) fn mark(&mut self, mfn: Mfn, flag: FrameFlags) {
        if let Some(frame) = self.frames.any_mut(mfn) {
            frame.flags |= flag;
        }
    }
}
