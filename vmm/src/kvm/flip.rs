//! The flush of one vCPU's TLB: KVM flushes when CR3 changes, so one of its bits is flipped. Comes in:
//! flushes asked for, by whomever, and the entries to the guest. Goes out: the bit for CR3. Flipped
//! twice before one entry it would be as it was, and nothing would be flushed.

use super::state::CR3_FLUSH_BIT;

/// The bit, and whether the next entry flushes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flip {
    bit: u64,
    asked: bool,
}

impl Flip {
    /// The next entry is to flush.
    pub(super) fn ask(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            self.bit ^= CR3_FLUSH_BIT;
        }
    }

    /// The guest was entered.
    pub(super) fn entered(&mut self) {
        self.asked = false;
    }

    /// What CR3 has where `cr3` is a table's address.
    pub(super) fn of(self, cr3: u64) -> u64 {
        cr3 & !CR3_FLUSH_BIT | self.bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vCPU that flushes by itself and is asked to by another before it enters.
    #[test]
    fn every_entry_that_is_to_flush_changes_cr3() {
        let mut flip = Flip::default();
        let mut last = flip.of(0x1000);
        for asked in [1, 2, 0, 3, 2] {
            (0..asked).for_each(|_| flip.ask());
            let cr3 = flip.of(0x1000);
            assert_eq!(cr3 != last, asked > 0, "asked {asked} times");
            last = cr3;
            flip.entered();
        }
    }
}
