//! Page-table entries: bits (Intel SDM vol. 3 §4.5), levels, and Xen's kernel marker
//! (`arch-x86/xen-x86_64.h`, `_PAGE_GUEST_KERNEL` in Xen's `x86_64/page.h`).

use crate::{Maddr, Mfn};
use bitflags::bitflags;
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries in one table page.
pub const ENTRIES: usize = 512;
/// L4 slots that belong to the hypervisor: first and last (`arch-x86/xen-x86_64.h`,
/// `__HYPERVISOR_VIRT_START`).
pub const HYPERVISOR_L4_SLOTS: core::ops::RangeInclusive<usize> = 256..=271;

bitflags! {
    /// The bits of an entry that are not its frame number.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PteFlags: u64 {
        /// P: the entry is walked.
        const PRESENT = 1 << 0;
        /// RW: writes are allowed.
        const RW = 1 << 1;
        /// U: CPL3 may use it; every mapping of a PV guest has it, kernel ones too.
        const USER = 1 << 2;
        /// PWT: write-through.
        const PWT = 1 << 3;
        /// PCD: uncached.
        const PCD = 1 << 4;
        /// A: the CPU has used the entry.
        const ACCESSED = 1 << 5;
        /// D: the CPU has written through the entry (L1).
        const DIRTY = 1 << 6;
        /// PSE at L2 and L3: a large page. At L1 this bit is PAT.
        const PSE = 1 << 7;
        /// G: survives a CR3 load (L1).
        const GLOBAL = 1 << 8;
        /// Bits 9..11, free for the guest.
        const AVAIL = 0x7 << 9;
        /// Bit 52: Xen's marker of a guest-kernel mapping.
        const GUEST_KERNEL = 1 << 52;
        /// Bits 52..62, free for the guest and Xen's marker.
        const AVAIL_HIGH = 0x7ff << 52;
        /// NX: no instruction fetch.
        const NX = 1 << 63;
    }
}

/// The level of a table, and of the entries in it. L1 entries map 4 KiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Page table.
    L1 = 1,
    /// Page directory.
    L2 = 2,
    /// Page-directory-pointer table.
    L3 = 3,
    /// PML4.
    L4 = 4,
}

impl Level {
    /// From the leaf upwards.
    pub const ALL: [Level; 4] = [Level::L1, Level::L2, Level::L3, Level::L4];
    /// The lowest virtual-address bit this level's index takes.
    #[must_use]
    #[inline]
    pub const fn shift(self) -> u32 {
        12 + 9 * (self as u32 - 1)
    }
    /// The level of the tables this level's entries point to; `None` at L1.
    #[must_use]
    #[inline]
    pub const fn below(self) -> Option<Level> {
        match self {
            Level::L1 => None,
            Level::L2 => Some(Level::L1),
            Level::L3 => Some(Level::L2),
            Level::L4 => Some(Level::L3),
        }
    }
}

/// One 64-bit entry of any level.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Pte(pub u64);

impl Pte {
    /// Bits 12..51: the frame number's place.
    pub const MFN_MASK: u64 = ((1 << 52) - 1) & !0xfff;
    /// The entry that maps nothing.
    pub const EMPTY: Pte = Pte(0);

    /// An entry for `mfn` with `flags`; frame bits beyond 2^40 frames are dropped.
    #[must_use]
    #[inline]
    pub const fn new(mfn: Mfn, flags: PteFlags) -> Pte {
        Pte((mfn.maddr().0 & Self::MFN_MASK) | flags.bits())
    }
    /// The frame it names, whether present or not.
    #[must_use]
    #[inline]
    pub const fn mfn(self) -> Mfn {
        Maddr(self.0 & Self::MFN_MASK).mfn()
    }
    /// Everything that is not the frame number.
    #[must_use]
    #[inline]
    pub const fn flags(self) -> PteFlags {
        PteFlags::from_bits_retain(self.0 & !Self::MFN_MASK)
    }
    /// Whether P is set.
    #[must_use]
    #[inline]
    pub const fn is_present(self) -> bool {
        self.0 & PteFlags::PRESENT.bits() != 0
    }
    /// Whether all of `flags` are set.
    #[must_use]
    #[inline]
    pub const fn has(self, flags: PteFlags) -> bool {
        self.0 & flags.bits() == flags.bits()
    }
    /// The same entry with `flags` set.
    #[must_use]
    #[inline]
    pub const fn with(self, flags: PteFlags) -> Pte {
        Pte(self.0 | flags.bits())
    }
    /// The same entry with `flags` cleared.
    #[must_use]
    #[inline]
    pub const fn without(self, flags: PteFlags) -> Pte {
        Pte(self.0 & !flags.bits())
    }
}

impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pte({:#018x})", self.0)
    }
}

const _: () = assert!(size_of::<Pte>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_and_flags_are_disjoint_and_complete() {
        let pte = Pte::new(Mfn(0x1234), PteFlags::PRESENT | PteFlags::NX);
        assert_eq!(pte.0, 0x8000_0000_0123_4001);
        assert_eq!(pte.mfn(), Mfn(0x1234));
        assert_eq!(Pte(u64::MAX).flags().bits() | Pte::MFN_MASK, u64::MAX);
    }
}
