//! The 512 entries of one L1, all at once: in one pass over a copy. Most map a frame of the guest's
//! with ordinary flags, and often neighbours map frames that follow one another: their references are
//! taken together, in a loop that can refuse nothing. Comes in: a table already typed. Goes out: all
//! references taken and the entries stored adjusted, or nothing changed; or all of them given back.

use super::frame::{Frame, FrameFlags, FrameTable, FrameType};
use super::promote::{Entries, copy_table};
use super::{Mm, Owner, Refusal, rules};
use crate::memory::Memory;
use hypercalls::pte::ENTRIES;
use hypercalls::{Level, Mfn, PAGE_SIZE, Pte, PteFlags};

impl Mm {
    /// Takes the references of all entries of an L1, already typed, and stores them adjusted; or
    /// changes nothing.
    pub(super) fn promote_leaves(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        self.work += ENTRIES as u64;
        let mut entries = copy_table(mem, mfn)?;
        match self.take_leaves(&mut entries)? {
            true => self.store_table(mem, mfn, &entries),
            false => Ok(()),
        }
    }

    /// Takes the references of `entries` and adjusts them; whether that changed any. If one is
    /// refused those before it are given back.
    fn take_leaves(&mut self, entries: &mut Entries) -> Result<bool, Refusal> {
        let (mut next, mut changed) = (0, false);
        loop {
            let (taken, adjusted) = self.frames.take_plain(&mut entries[next..]);
            (next, changed) = (next + taken, changed | adjusted);
            let Some(&entry) = entries.get(next) else {
                return Ok(changed);
            };
            match self.take_odd(Pte(entry)) {
                Ok(value) => entries[next] = value.0,
                Err(refusal) => {
                    self.drop_leaves(&entries[..next]);
                    return Err(refusal);
                }
            }
            changed |= entries[next] != entry;
            next += 1;
        }
    }

    /// One that needs a closer look; adjusted.
    fn take_odd(&mut self, pte: Pte) -> Result<Pte, Refusal> {
        rules::check_flags(Level::L1, pte, self.is_io(pte))?;
        self.take_leaf(pte, Owner::Guest)?;
        Ok(rules::adjust(Level::L1, pte))
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
}

impl FrameTable {
    /// Takes the references of entries in order and adjusts them, up to the first that could be
    /// refused; how many, and whether any was changed.
    fn take_plain(&mut self, entries: &mut [u64]) -> (usize, bool) {
        let (first, guest) = self.guest_mut();
        let (mut done, mut changed) = (0, false);
        while let Some(&raw) = entries.get(done) {
            let pte = Pte(raw);
            if !pte.is_present() {
                done += 1;
                continue;
            }
            // An index below 0 is beyond the end, too.
            let index = pte.mfn().0.wrapping_sub(first.0) as usize;
            let frames = guest.get_mut(index..).unwrap_or_default();
            let run = run(&entries[done..]).min(frames.len());
            let taken = match rules::is_plain_leaf(pte) {
                true => take_run(&mut frames[..run], pte.has(PteFlags::RW)),
                false => 0,
            };
            let adjusted = rules::adjust(Level::L1, pte).0 ^ raw;
            entries[done..][..taken]
                .iter_mut()
                .for_each(|entry| *entry ^= adjusted);
            changed |= taken > 0 && adjusted != 0;
            done += taken;
            if taken == 0 || taken < run {
                break;
            }
        }
        (done, changed)
    }
}

/// Entries looked at together, at most: few, as an odd one among them has them looked at again.
const RUN: usize = 32;

/// How many entries, from the first on, map frames that follow one another, with the same flags.
fn run(entries: &[u64]) -> usize {
    let Some((&first, rest)) = entries.split_first() else {
        return 0;
    };
    let next = (1..RUN as u64).map(|n| first.wrapping_add(n * PAGE_SIZE));
    1 + rest
        .iter()
        .zip(next)
        .take_while(|&(&entry, next)| entry == next)
        .count()
}

/// Takes the references of leaves that map `frames`; of how many, up to the first where something
/// is to be said against it.
fn take_run(frames: &mut [Frame], writable: bool) -> usize {
    let all = frames.len();
    let odd = frames
        .iter_mut()
        .position(|frame| !frame.take_plain(writable));
    odd.unwrap_or(all)
}

impl Frame {
    /// Takes the references of a leaf unless something may be to be said against it.
    #[inline]
    fn take_plain(&mut self, writable: bool) -> bool {
        let Some(general) = self.general.checked_add(1) else {
            return false;
        };
        if writable {
            let free = matches!(self.kind, FrameType::None | FrameType::Writable);
            if !free || self.flags.contains(FrameFlags::WAS_TABLE) {
                return false;
            }
            self.kind = FrameType::Writable;
            // No more than the general ones.
            self.typed = self.typed.wrapping_add(1);
        }
        self.general = general;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn runs_are_of_frames_in_a_row_with_the_same_flags() {
        let entries = |list: &[u64]| run(list);
        assert_eq!(entries(&[]), 0);
        assert_eq!(entries(&[0x5067]), 1);
        assert_eq!(entries(&[0x5067, 0x6067, 0x7067, 0x8065, 0x9067]), 3);
        assert_eq!(entries(&[0x5067, 0x5067]), 1);
        let long: Vec<u64> = (0..100).map(|n| n << 12 | 1).collect();
        assert_eq!(entries(&long), super::RUN);
        assert_eq!(entries(&[u64::MAX, 0xfff]), 2, "refused by what it maps");
    }
}
