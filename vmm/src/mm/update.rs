//! One page-table write, as a normal request of `mmu_update` makes it. Order: check the bits, recognize changes of flags only,
//! take the new entry's references, store, drop the old entry's.

use super::frame::{FrameFlags, FrameType};
use super::promote::is_hv_slot;
use super::{Mm, Refusal, rules};
use crate::memory::Memory;
use hypercalls::{Level, Maddr, Pte, PteFlags};

/// Whose frames an L1 entry may map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// The guest's own.
    #[default]
    Guest,
    /// I/O memory only (`DOMID_IO` as the foreign domain).
    Io,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The entry's A and D bits are kept.
    pub preserve_ad: bool,
    /// Whose frames it may map.
    pub owner: Owner,
}

/// The bits the CPU itself sets in an entry.
const AD: u64 = PteFlags::ACCESSED.union(PteFlags::DIRTY).bits();
/// How often a store is tried again because the CPU set one of them.
const AD_RETRIES: usize = 4;

impl Mm {
    /// Writes `new` to the entry at `at`, of any level; to memory that is no table, as plain data.
    ///
    /// # Errors
    /// Why it may not be written; nothing changed then.
    pub fn set_pte(
        &mut self,
        mem: &Memory,
        at: Maddr,
        new: Pte,
        update: Update,
    ) -> Result<(), Refusal> {
        self.work += 1;
        let (mfn, at) = (at.mfn(), Maddr(at.0 & !7));
        let frame = self.frames.owned(mfn).ok_or(Refusal::BadTarget { at })?;
        match frame.kind {
            FrameType::L1 => self.set_leaf(mem, at, new, update),
            FrameType::L2 => self.set_upper(mem, (Level::L2, Level::L1), at, new, update),
            FrameType::L3 => self.set_upper(mem, (Level::L3, Level::L2), at, new, update),
            FrameType::L4 => self.set_upper(mem, (Level::L4, Level::L3), at, new, update),
            has @ FrameType::SegDesc => Err(Refusal::TargetInUse { mfn, has }),
            FrameType::None | FrameType::Writable => self.write_data(mem, at, new.0),
        }
    }

    /// Writes an entry of a live L1 that the guest wrote to itself.
    pub(super) fn set_caught(&mut self, mem: &Memory, at: Maddr, new: Pte) -> Result<(), Refusal> {
        self.work += 1;
        self.set_leaf(mem, at, new, Update::default())
    }

    #[inline]
    fn set_leaf(
        &mut self,
        mem: &Memory,
        at: Maddr,
        new: Pte,
        update: Update,
    ) -> Result<(), Refusal> {
        let old = Pte(mem.read_u64(at)?);
        let mut replaces = old.is_present();
        if new.is_present() {
            rules::check_flags(Level::L1, new, self.is_io(new))?;
            if rules::is_flag_change(old, new) {
                replaces = false;
            } else {
                self.take_leaf(new, update.owner)?;
            }
        }
        let value = rules::adjust(Level::L1, new);
        self.write_entry(mem, at, old, value, update.preserve_ad)?;
        if replaces {
            self.drop_leaf(old);
        }
        Ok(())
    }

    fn set_upper(
        &mut self,
        mem: &Memory,
        levels: (Level, Level),
        at: Maddr,
        new: Pte,
        update: Update,
    ) -> Result<(), Refusal> {
        let level = levels.0;
        let (table, slot) = (at.mfn(), (at.offset() / 8) as usize);
        if update.owner != Owner::Guest {
            return Err(Refusal::ForeignTable { mfn: table });
        }
        if is_hv_slot(level, slot) {
            return Err(Refusal::HypervisorSlot { slot });
        }
        let old = Pte(mem.read_u64(at)?);
        let mut replaces = old.is_present();
        if new.is_present() {
            rules::check_flags(level, new, false)?;
            if rules::is_flag_change(old, new) {
                replaces = false;
            } else {
                self.take_entry(mem, table, levels, new)?;
            }
        }
        let value = rules::adjust(level, new);
        self.write_entry(mem, at, old, value, update.preserve_ad)?;
        if old.is_present() {
            self.effects.flush.all(self.vcpus);
        }
        if replaces && let Some((target, level)) = self.end_entry(table, levels, old) {
            self.drop_table(mem, target, level);
        }
        Ok(())
    }

    /// Stores `value` over `old`, with the entry's present A and D bits if they are to be kept.
    #[inline]
    fn write_entry(
        &mut self,
        mem: &Memory,
        at: Maddr,
        old: Pte,
        value: Pte,
        preserve_ad: bool,
    ) -> Result<(), Refusal> {
        if !preserve_ad {
            return self.store(mem, at, old, value);
        }
        let (mut seen, mut kept) = (old.0, value.0 | old.0 & AD);
        for _ in 0..AD_RETRIES {
            match mem.compare_exchange_u64(at, seen, kept)? {
                Ok(_) => {
                    self.log_store(at, old, Pte(kept));
                    return Ok(());
                }
                Err(now) => (seen, kept) = (now, value.0 | now & AD),
            }
        }
        self.store(mem, at, old, Pte(kept))
    }

    /// Writes eight bytes to memory that is no table.
    fn write_data(&mut self, mem: &Memory, at: Maddr, value: u64) -> Result<(), Refusal> {
        self.forget(at.mfn(), FrameType::Writable)?;
        let old = Pte(mem.read_u64(at)?);
        self.store(mem, at, old, Pte(value))
    }

    /// Stores an entry and logs it if the CPU may remember the old one.
    #[inline]
    pub(super) fn store(
        &mut self,
        mem: &Memory,
        at: Maddr,
        old: Pte,
        value: Pte,
    ) -> Result<(), Refusal> {
        mem.write_u64(at, value.0)?;
        self.log_store(at, old, value);
        Ok(())
    }

    #[inline]
    fn log_store(&mut self, at: Maddr, old: Pte, Pte(value): Pte) {
        if !old.is_present() || old.0 == value {
            return;
        }
        let frame = self.frames.any(at.mfn());
        if frame.is_some_and(|frame| frame.flags.contains(FrameFlags::WALKED)) {
            self.note_store(at, value);
        }
    }
}
