//! Loads and stores as the guest's CPU would do them: through the page walk, or, for the kernel's
//! own view of a frame, straight.

use super::Direct;
use crate::domain::Domain;
use crate::memory::Memory;
use crate::mm::{FrameType, walk};
use guest::machine::{Access, Fault, Part};
use hypercalls::trap::{PFEC_PRESENT, PFEC_WRITE};
use hypercalls::{Maddr, Mfn, PAGE_SIZE, Pte, PteFlags, Vaddr};

impl Direct<'_> {
    pub(super) fn load(&self, at: Maddr) -> Pte {
        let domain = self.domain.borrow();
        // The library reads tables it built; one outside memory reads as nothing mapped.
        Pte(domain.memory.read_u64(at).unwrap_or(0))
    }

    pub(super) fn fill_frame(&self, mfn: Mfn, word: u64) {
        let domain = self.domain.borrow();
        for n in 0..PAGE_SIZE / 8 {
            // As above: a frame outside memory holds nothing.
            let _ = domain.memory.write_u64(mfn.maddr().add(8 * n), word);
        }
    }

    /// The kernel's direct write to an entry, if it still is `expected`: what it held. To a live
    /// table the write would fault and be emulated; to any other frame it is a store.
    pub(super) fn write_table(&self, at: Maddr, expected: Option<Pte>, new: Pte) -> Pte {
        let dom = &mut *self.domain.borrow_mut();
        let expected = expected.map(|pte| pte.0);
        if dom.mm.type_of(at.mfn()) != FrameType::L1 {
            return Pte(store(&dom.memory, at, expected, new.0));
        }
        Pte(emulate(dom, at, 8, expected, new.0))
    }

    /// As [`Direct::write_table`], of a part of an entry; of a bit, whether it was set.
    pub(super) fn write_table_part(&self, at: Maddr, part: Part) -> bool {
        let held = self.load(Maddr(at.0 & !7));
        let (len, value) = match part {
            Part::Byte(value) => (1, u64::from(value)),
            Part::Word(value) => (2, value.into()),
            Part::Dword(value) => (4, value.into()),
            Part::Set(bit) => return self.swap_bit(at, Pte(held.0 | 1 << bit), bit),
            Part::Clear(bit) => return self.swap_bit(at, Pte(held.0 & !(1 << bit)), bit),
        };
        let dom = &mut *self.domain.borrow_mut();
        if dom.mm.type_of(at.mfn()) == FrameType::L1 {
            emulate(dom, at, len, None, value);
        } else {
            // As above: a frame outside memory holds nothing.
            let _ = dom.memory.write(at, &value.to_le_bytes()[..len]);
        }
        false
    }

    fn swap_bit(&self, at: Maddr, new: Pte, bit: u8) -> bool {
        self.write_table(at, None, new).0 >> bit & 1 != 0
    }

    pub(super) fn access(&self, va: Vaddr, access: Access) -> Result<u64, Fault> {
        let domain = self.domain.borrow();
        let write = match access {
            Access::Read => 0,
            Access::Write(_) => PFEC_WRITE,
        };
        let Ok(walk) = walk::walk(&domain.memory, domain.vcpus[self.cpu.get()].root(), va) else {
            return Err(Fault(write));
        };
        if matches!(access, Access::Write(_)) && !walk.writable {
            return Err(Fault(write | PFEC_PRESENT));
        }
        note_use(&domain.memory, &walk, access);
        match access {
            Access::Read => domain.memory.read_u64(walk.maddr).map_err(|_| Fault(write)),
            Access::Write(word) => domain
                .memory
                .write_u64(walk.maddr, word)
                .map(|()| word)
                .map_err(|_| Fault(write)),
        }
    }
}

/// What the CPU notes in the leaf of an address it uses: A, and D if it writes.
fn note_use(memory: &Memory, walk: &walk::Walk, access: Access) {
    let bits = match access {
        Access::Read => PteFlags::ACCESSED,
        Access::Write(_) => PteFlags::ACCESSED | PteFlags::DIRTY,
    };
    let noted = walk.leaf.with(bits);
    store(memory, walk.leaf_at, Some(walk.leaf.0), noted.0);
}

/// The write as the hypervisor emulates it: what was held.
fn emulate(dom: &mut Domain, at: Maddr, len: usize, expected: Option<u64>, new: u64) -> u64 {
    let written = dom.mm.emulate_write(&dom.memory, at, len, expected, new);
    dom.take_effects();
    dom.stats.counters.emulated_writes += 1;
    dom.lab.emulated_write();
    match written {
        Ok(Ok(held) | Err(held)) => held,
        Err(refusal) => {
            // The real kernel would take the page fault; the oracle sees the entry unchanged.
            dom.mm.refuse(refusal);
            dom.memory.read_u64(Maddr(at.0 & !7)).unwrap_or(0)
        }
    }
}

/// A locked store to plain memory: what it held.
fn store(memory: &Memory, at: Maddr, expected: Option<u64>, new: u64) -> u64 {
    loop {
        let held = memory.read_u64(at).unwrap_or(0);
        if expected.is_some_and(|expected| expected != held) {
            return held;
        }
        match memory.compare_exchange_u64(at, held, new) {
            Ok(Err(_)) => {}
            Ok(Ok(_)) | Err(_) => return held,
        }
    }
}
