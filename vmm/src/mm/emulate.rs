//! A guest's own write to a live L1, through its read-only mapping of that table, caught by the
//! page fault: what `vm_assist`'s writable page tables are. The write is applied for it, by the
//! same rules as a request of `mmu_update`.

use super::frame::FrameType;
use super::walk::walk;
use super::{Mm, Refusal, is_guest};
use crate::memory::Memory;
use hypercalls::{Maddr, Mfn, Pte, Vaddr};

/// An aligned part of an entry, 1, 2, 4 or 8 bytes wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    shift: u64,
    mask: u64,
}

impl Part {
    /// The part that `len` bytes at `at` are; `None` if they are no such part.
    fn new(at: Maddr, len: usize) -> Option<Part> {
        if !matches!(len, 1 | 2 | 4 | 8) || !at.0.is_multiple_of(len as u64) {
            return None;
        }
        Some(Part {
            shift: at.0 % 8 * 8,
            mask: u64::MAX >> (64 - 8 * len as u64),
        })
    }

    fn of(self, entry: u64) -> u64 {
        entry >> self.shift & self.mask
    }

    fn put(self, entry: u64, value: u64) -> u64 {
        entry & !(self.mask << self.shift) | (value & self.mask) << self.shift
    }
}

impl Mm {
    /// The entry, or part of one, that a faulting write of `len` bytes to `va` is about: an aligned
    /// part of a live L1 that `va` maps read-only by the tables at `root`. `None` if it is
    /// anything else, and the fault is the guest's.
    #[must_use]
    pub fn write_target(&self, mem: &Memory, root: Mfn, va: Vaddr, len: usize) -> Option<Maddr> {
        let walk = walk(mem, root, va).ok()?;
        let l1 = self.type_of(walk.maddr.mfn()) == FrameType::L1;
        let caught = is_guest(va) && l1 && !walk.writable;
        Part::new(walk.maddr, len).filter(|_| caught)?;
        Some(walk.maddr)
    }

    /// Applies a caught write of the low `len` bytes of `new` to a live L1 at `at`, if memory still
    /// holds `expected` there (`None`: whatever it holds). The inner result is what those bytes
    /// held before: `Ok` if they were written, `Err` if they were not as expected.
    ///
    /// # Errors
    /// Why it may not be written; the guest gets the page fault then.
    pub fn emulate_write(
        &mut self,
        mem: &Memory,
        at: Maddr,
        len: usize,
        expected: Option<u64>,
        new: u64,
    ) -> Result<Result<u64, u64>, Refusal> {
        let mfn = at.mfn();
        match self.frames.kind(mfn) {
            FrameType::L1 => {}
            has => return Err(Refusal::TargetInUse { mfn, has }),
        }
        let part = Part::new(at, len).ok_or(Refusal::Unaligned { at })?;
        let entry_at = Maddr(at.0 & !7);
        let entry = mem.read_u64(entry_at)?;
        let held = part.of(entry);
        if expected.is_some_and(|expected| expected & part.mask != held) {
            return Ok(Err(held));
        }
        self.set_caught(mem, entry_at, Pte(part.put(entry, new)))?;
        Ok(Ok(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::fixture::*;

    fn slot() -> Maddr {
        L1.entry((DATA.0 - FIRST) as usize)
    }

    fn write(
        machine: &mut Machine,
        at: Maddr,
        len: usize,
        expected: Option<u64>,
        new: u64,
    ) -> Result<Result<u64, u64>, &'static str> {
        let (mem, mm) = (&machine.mem, &mut machine.mm);
        let written = mm.emulate_write(mem, at, len, expected, new);
        machine.check();
        written.map_err(|refusal| refusal.name())
    }

    /// A caught write follows the rules of `mmu_update`, and is for live L1 tables only.
    #[test]
    fn refusals() {
        let mut machine = Machine::new();
        let table = pte(L1, RW);
        for (at, len, refusal) in [
            (slot(), 8, "NotWritable"),
            (slot(), 3, "Unaligned"),
            (slot(), 0, "Unaligned"),
            (slot(), 16, "Unaligned"),
            (slot().add(2), 4, "Unaligned"),
            (L2.entry(0), 8, "TargetInUse"),
            (DATA.entry(0), 8, "TargetInUse"),
            (Mfn(END).entry(0), 8, "TargetInUse"),
        ] {
            let before = machine.peek(slot());
            let refused = write(&mut machine, at, len, None, table);
            assert_eq!(refused, Err(refusal), "{at} {len}");
            assert_eq!(machine.peek(slot()), before);
        }
    }

    /// A compare-and-swap that loses changes nothing and tells what is there.
    #[test]
    fn compare_and_swap() {
        let mut machine = Machine::new();
        let held = machine.peek(slot());
        let lost = write(&mut machine, slot(), 8, Some(held ^ 2), 0);
        assert_eq!((lost, machine.peek(slot())), (Ok(Err(held)), held));
        let won = write(&mut machine, slot(), 8, Some(held), 0);
        assert_eq!((won, machine.peek(slot())), (Ok(Ok(held)), 0));
    }

    /// `lock btr` of RW in byte 0, and 16 and 32-bit stores: the rest of the entry stays.
    #[test]
    fn parts_of_an_entry() {
        let mut machine = Machine::new();
        let held = machine.peek(slot());
        let low = held & 0xff;
        let cleared = write(&mut machine, slot(), 1, Some(low), low & !2);
        assert_eq!((cleared, machine.peek(slot())), (Ok(Ok(low)), held & !2));
        assert_eq!(machine.mm.counts(DATA), (1, 0), "read-only now");
        let high = held >> 32;
        let upper = write(&mut machine, slot().add(4), 4, None, high | 1 << 31);
        assert_eq!(upper, Ok(Ok(high)));
        assert_eq!(machine.peek(slot()), held & !2 | 1 << 63);
        assert_eq!(
            write(&mut machine, slot(), 2, None, 0).map(|held| held.is_ok()),
            Ok(true)
        );
        assert_eq!(machine.peek(slot()) & 0xffff, 0);
    }

    #[test]
    fn which_faults_are_caught() {
        let machine = Machine::new();
        let target = |va, len| machine.mm.write_target(&machine.mem, L4, va, len);
        assert_eq!(target(va(L1).add(8), 8), Some(L1.entry(1)));
        assert_eq!(target(va(L1).add(0x1c), 4), Some(L1.entry(3).add(4)));
        for (case, va, len) in [
            ("misaligned", va(L1).add(4), 8),
            ("too wide", va(L1), 16),
            ("an L2", va(L2), 8),
            ("data", va(DATA), 8),
            ("read-only data", va(FREE), 8),
            ("not mapped", Vaddr(0x1000), 8),
            ("the hypervisor's", Vaddr::from_l4_slot(257), 8),
        ] {
            assert_eq!(target(va, len), None, "{case}");
        }
    }
}
