//! The guest's virtual memory as the hypervisor may use it on the guest's behalf: copies in and
//! out, page by page, by the guest's own tables. A pointer is an allegation: each page is walked
//! anew and must be usable at CPL3, and none may lie in the hypervisor's part of the L4.

use super::walk::walk;
use crate::memory::Memory;
use hypercalls::pte::HYPERVISOR_L4_SLOTS;
use hypercalls::{Level, Maddr, Mfn, PAGE_SIZE, Vaddr};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A guest pointer that cannot be used so: the first address that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("guest address {0} cannot be accessed")]
pub struct Efault(pub Vaddr);

impl From<Efault> for super::Refusal {
    fn from(Efault(va): Efault) -> Self {
        super::Refusal::BadPointer { va }
    }
}

/// Whether the hypervisor may follow a guest pointer to this address at all.
#[must_use]
pub fn is_guest(va: Vaddr) -> bool {
    va.is_canonical() && !HYPERVISOR_L4_SLOTS.contains(&va.slot(Level::L4))
}

/// Whether an array of `count` items of `size` bytes may begin at `va`. Where it ends is not asked:
/// as on Xen, one that reaches into the hypervisor's part is found out by the copy of the item
/// there ([`GuestView`] looks at every page), and those before it have been handled.
#[must_use]
pub fn array_ok(va: Vaddr, count: u64, size: u64) -> bool {
    count.checked_mul(size).is_some() && is_guest(va)
}

/// A guest's address space, by the tables at `root`.
#[derive(Clone, Copy, Debug)]
pub struct GuestView<'a> {
    /// The machine's memory.
    pub mem: &'a Memory,
    /// The L4.
    pub root: Mfn,
}

impl GuestView<'_> {
    /// Copies bytes out of the guest.
    ///
    /// # Errors
    /// At the first page that cannot be read.
    pub fn copy_in(&self, va: Vaddr, into: &mut [u8]) -> Result<(), Efault> {
        let mut at = va;
        let mut rest = into;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(in_page(at, rest.len()));
            let maddr = self.translate(at, false)?;
            self.mem.read(maddr, now).map_err(|_| Efault(at))?;
            (at, rest) = (at.add(now.len() as u64), later);
        }
        Ok(())
    }

    /// Copies bytes into the guest.
    ///
    /// # Errors
    /// At the first page that cannot be written; those before it were.
    pub fn copy_out(&self, va: Vaddr, from: &[u8]) -> Result<(), Efault> {
        let mut at = va;
        let mut rest = from;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(in_page(at, rest.len()));
            let maddr = self.translate(at, true)?;
            self.mem.write(maddr, now).map_err(|_| Efault(at))?;
            (at, rest) = (at.add(now.len() as u64), later);
        }
        Ok(())
    }

    /// Copies one value out of the guest.
    ///
    /// # Errors
    /// If any of its bytes cannot be read.
    pub fn read_obj<T: FromBytes + IntoBytes>(&self, va: Vaddr) -> Result<T, Efault> {
        let mut value = T::new_zeroed();
        self.copy_in(va, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies one value into the guest.
    ///
    /// # Errors
    /// If any of its bytes cannot be written.
    pub fn write_obj<T: IntoBytes + Immutable>(&self, va: Vaddr, value: &T) -> Result<(), Efault> {
        self.copy_out(va, value.as_bytes())
    }

    /// Where a byte of the guest's is, if the guest may read it, or write it.
    ///
    /// # Errors
    /// If it may not.
    pub fn translate(&self, va: Vaddr, write: bool) -> Result<Maddr, Efault> {
        if !is_guest(va) {
            return Err(Efault(va));
        }
        match walk(self.mem, self.root, va) {
            Ok(walk) if walk.user && (walk.writable || !write) => Ok(walk.maddr),
            _ => Err(Efault(va)),
        }
    }
}

/// How many of `len` bytes from `va` on lie in its page.
fn in_page(va: Vaddr, len: usize) -> usize {
    len.min((PAGE_SIZE - va.offset()) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::fixture::*;

    #[test]
    fn copies_go_page_by_page() {
        let machine = Machine::new();
        let (mem, root) = (&machine.mem, L4);
        let view = GuestView { mem, root };
        // Two neighbouring pages whose frames are swapped.
        machine.poke(L1.entry((DATA.0 - FIRST) as usize), pte(DATA2, 0x67));
        machine.poke(L1.entry((DATA2.0 - FIRST) as usize), pte(DATA, 0x67));
        let at = va(DATA).add(PAGE_SIZE - 3);
        view.copy_out(at, &[1, 2, 3, 4, 5]).expect("writable");
        assert_eq!(machine.peek(DATA2.entry(511)) >> 40, 0x03_0201);
        assert_eq!(machine.peek(DATA.entry(0)), 0x0504);
        assert_eq!(view.read_obj::<[u8; 5]>(at), Ok([1, 2, 3, 4, 5]));
    }

    #[test]
    fn what_the_guest_may_not_do_nobody_does_for_it() {
        let machine = Machine::new();
        let (mem, root) = (&machine.mem, L4);
        let view = GuestView { mem, root };
        assert!(view.read_obj::<u64>(va(L1)).is_ok());
        assert_eq!(view.write_obj(va(L1), &0u64), Err(Efault(va(L1))));
        let end = va(FREE).add(u64::MAX - 2);
        assert_eq!(view.write_obj(end, &0u64), Err(Efault(va(FREE))));
        for bad in [Vaddr(0x1000), Vaddr(1 << 47), Vaddr(u64::MAX)] {
            assert_eq!(view.read_obj::<u8>(bad), Err(Efault(bad)));
        }
        // The hypervisor's slots are out of bounds even if they map something.
        machine.poke(L4.entry(257), machine.peek(L4.entry(SLOT as usize)));
        let hole = Vaddr::from_l4_slot(257);
        assert_eq!(view.read_obj::<u8>(hole), Err(Efault(hole)));
        let leaf = L1.entry((DATA.0 - FIRST) as usize);
        machine.poke(leaf, pte(DATA, RW));
        assert_eq!(view.read_obj::<u8>(va(DATA)), Err(Efault(va(DATA))), "no U");
    }

    /// Pointer and count that wrap past the range check (XSA-212) are refused as a whole.
    #[test]
    fn arrays_begin_where_a_guest_may_point() {
        assert!(array_ok(Vaddr(0x1000), 32, 16));
        assert!(array_ok(Vaddr(0), 0, 16));
        assert!(array_ok(Vaddr(u64::MAX - 15), 1, 16));
        assert!(array_ok(Vaddr(u64::MAX - 15), 2, 16));
        assert!(!array_ok(Vaddr(0x1000), u64::MAX / 8, 16));
        assert!(!array_ok(Vaddr::from_l4_slot(256), 1, 16));
        assert!(!array_ok(Vaddr::from_l4_slot(271), 0, 16));
        assert!(array_ok(Vaddr::from_l4_slot(272), 1, 16));
        assert!(array_ok(Vaddr(0x7fff_ffff_fff0), 2, 16));
        assert!(!array_ok(Vaddr(0x8000_0000_0000), 1, 16));
    }
}
