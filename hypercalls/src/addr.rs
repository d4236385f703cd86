//! Whose address it is. A pseudo-physical frame ([`Pfn`]), a machine frame ([`Mfn`]), a machine
//! address ([`Maddr`]) and a guest-virtual address ([`Vaddr`]) are four types that never mix.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Bits of a virtual address that the four-level walk translates.
pub const VADDR_BITS: u32 = 48;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(transparent)]
        pub struct $name(pub u64);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A pseudo-physical frame number: the guest's own numbering, 0 up to `nr_pages`.
    Pfn
}
address! {
    /// A machine frame number: what page-table entries hold.
    Mfn
}
address! {
    /// A machine address in bytes.
    Maddr
}
address! {
    /// A guest-virtual address in bytes.
    Vaddr
}

impl Mfn {
    /// The address of the frame's first byte. Wraps for numbers of 2^52 and more, which no
    /// machine has; validate against the machine's size first.
    #[must_use]
    #[inline]
    pub const fn maddr(self) -> Maddr {
        Maddr(self.0 << PAGE_SHIFT)
    }
    /// The address of entry `index` of the frame taken as a page table. `index` below 512.
    #[must_use]
    #[inline]
    pub const fn entry(self, index: usize) -> Maddr {
        Maddr((self.0 << PAGE_SHIFT) + index as u64 * 8)
    }
    /// The frame `n` further on.
    #[must_use]
    #[inline]
    pub const fn add(self, n: u64) -> Mfn {
        Mfn(self.0.wrapping_add(n))
    }
}

impl Pfn {
    /// The frame `n` further on.
    #[must_use]
    #[inline]
    pub const fn add(self, n: u64) -> Pfn {
        Pfn(self.0.wrapping_add(n))
    }
}

impl Maddr {
    /// The frame this address lies in.
    #[must_use]
    #[inline]
    pub const fn mfn(self) -> Mfn {
        Mfn(self.0 >> PAGE_SHIFT)
    }
    /// The offset in that frame, in bytes.
    #[must_use]
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 & (PAGE_SIZE - 1)
    }
    /// The address `n` bytes further on.
    #[must_use]
    #[inline]
    pub const fn add(self, n: u64) -> Maddr {
        Maddr(self.0.wrapping_add(n))
    }
}

impl Vaddr {
    /// Bits 63..47 all alike: the address can be translated at all.
    #[must_use]
    #[inline]
    pub const fn is_canonical(self) -> bool {
        let high = (self.0 as i64) >> (VADDR_BITS - 1);
        high == 0 || high == -1
    }
    /// The first address of its page.
    #[must_use]
    #[inline]
    pub const fn page(self) -> Vaddr {
        Vaddr(self.0 & !(PAGE_SIZE - 1))
    }
    /// The offset in its page, in bytes.
    #[must_use]
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 & (PAGE_SIZE - 1)
    }
    /// The address `n` bytes further on.
    #[must_use]
    #[inline]
    pub const fn add(self, n: u64) -> Vaddr {
        Vaddr(self.0.wrapping_add(n))
    }
    /// The slot this address selects in a table of `level` (L4: bits 47..39, ... L1: bits 20..12).
    #[must_use]
    #[inline]
    pub const fn slot(self, level: crate::Level) -> usize {
        (self.0 >> level.shift()) as usize & 0x1ff
    }
    /// The sign-extended address whose L4 slot is `slot` and whose lower bits are 0.
    #[must_use]
    #[inline]
    pub const fn from_l4_slot(slot: u64) -> Vaddr {
        let shift = 64 - VADDR_BITS;
        Vaddr((((slot << 39) << shift) as i64 >> shift) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn slots_of_a_kernel_address() {
        let va = Vaddr(0xffff_ffff_8100_1000);
        assert_eq!(Level::ALL.map(|l| va.slot(l)), [1, 8, 510, 511]);
    }

    #[test]
    fn canonical_is_47_bits_each_way() {
        assert!(Vaddr(0x7fff_ffff_ffff).is_canonical());
        assert!(!Vaddr(0x8000_0000_0000).is_canonical());
        assert!(Vaddr(0xffff_8000_0000_0000).is_canonical());
        assert_eq!(Vaddr::from_l4_slot(257), Vaddr(0xffff_8080_0000_0000));
        assert_eq!(Vaddr::from_l4_slot(1), Vaddr(0x80_0000_0000));
    }
}
