//! Queues that are not as Linux's: the back end that reorders, and what the mutants do to one.

use super::{Queue, UPDATE};
use hypercalls::Nr;
use hypercalls::mmu::{MMU_COMMAND_MASK, MmuUpdate};
use hypercalls::multicall::MulticallEntry;
use zerocopy::IntoBytes;

/// The command in an update's first byte.
const COMMAND: u8 = MMU_COMMAND_MASK as u8;

impl Queue {
    /// The mutant's merge: opens a gap at the end of entry `at`'s arguments.
    pub(super) fn insert_before_last(&mut self, at: usize, update: MmuUpdate) {
        let offset = (self.entries[at].args[0] + self.entries[at].args[1] * UPDATE as u64) as usize;
        self.args.copy_within(offset..self.end, offset + UPDATE);
        self.args[offset..offset + UPDATE].copy_from_slice(update.as_bytes());
        self.entries[at + 1].args[0] += UPDATE as u64;
        self.end += UPDATE;
    }

    /// The mutant's loss: the last update of the last entry of updates.
    pub(super) fn drop_last(&mut self) {
        let Some(entry) = self.used.checked_sub(1).map(|i| &mut self.entries[i]) else {
            return;
        };
        if entry.op == Nr::MmuUpdate as u64 && entry.args[1] > 1 {
            entry.args[1] -= 1;
            self.updates -= 1;
        }
    }

    /// The mutant's loss: the last of several entries, whatever it asks for.
    pub(super) fn drop_entry(&mut self) {
        if self.used < 2 {
            return;
        }
        self.used -= 1;
        let entry = &self.entries[self.used];
        if entry.op == Nr::MmuUpdate as u64 {
            self.updates -= entry.args[1];
        }
        self.relocate &= !(1 << self.used);
    }

    /// Moves TLB flushes to the front and, if `reverse`, turns each entry's updates round. How
    /// many flushes passed an update.
    pub(super) fn reorder(&mut self, reverse: bool) -> u64 {
        let is_flush = |e: &MulticallEntry| e.op == Nr::MmuextOp as u64;
        let mut passed = 0;
        for i in 1..self.used {
            let mut at = i;
            while at > 0 && is_flush(&self.entries[at]) && !is_flush(&self.entries[at - 1]) {
                self.swap(at - 1, at);
                at -= 1;
            }
            passed += u64::from(at < i);
        }
        if reverse {
            (0..self.used).for_each(|i| self.reverse(i));
        }
        passed
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        let differ = (self.relocate >> a ^ self.relocate >> b) & 1;
        self.relocate ^= differ << a | differ << b;
    }

    /// Turns the updates of entry `i` round, unless two name one page-table entry.
    fn reverse(&mut self, i: usize) {
        let entry = self.entries[i];
        if entry.op != Nr::MmuUpdate as u64 {
            return;
        }
        let (from, count) = (entry.args[0] as usize, entry.args[1] as usize);
        let (updates, _) = self.args[from..from + count * UPDATE].as_chunks_mut::<UPDATE>();
        // The lowest bits of the first byte are the command: a commit names what a set names.
        let named = |n: usize| (updates[n][0] & !COMMAND, &updates[n][1..8]);
        let twice = |n: usize| (0..n).any(|earlier| named(earlier) == named(n));
        if !(0..count).any(twice) {
            updates.reverse();
        }
    }
}
