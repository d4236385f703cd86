//! What a page-table change leaves for the host to do before the guest runs again: entries to
//! show to the CPU and translations to drop. The rules log here; the host takes it all at the end
//! of an exit, does it, and waits for the other vCPUs to have done their part.

use arrayvec::ArrayVec;
use hypercalls::{Maddr, Vaddr};

/// An entry that was present and changed, in a frame the CPU may have walked. Memory already holds
/// `value`, or what was stored since; a host that shadows page tables has to see what memory holds
/// stored by the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// The entry.
    pub at: Maddr,
    /// What it holds now.
    pub value: u64,
}

/// How many single pages are remembered before the whole TLB is flushed instead.
pub const FLUSH_PAGES: usize = 16;

/// Translations to drop. In masks, bit i is vCPU i.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// The vCPUs that must drop everything.
    pub vcpus: u64,
    /// Single pages, and the vCPUs that must drop each.
    pub pages: ArrayVec<(u64, Vaddr), FLUSH_PAGES>,
}

impl Flush {
    /// Drops everything on the vCPUs of `mask`.
    #[inline]
    pub fn all(&mut self, mask: u64) {
        self.vcpus |= mask;
    }

    /// Drops one page on the vCPUs of `mask`.
    #[inline]
    pub fn page(&mut self, mask: u64, va: Vaddr) {
        if mask & !self.vcpus == 0 {
            return;
        }
        if self.pages.try_push((mask, va.page())).is_err() {
            let overflow = self.pages.drain(..).fold(mask, |all, (mask, _)| all | mask);
            self.vcpus |= overflow;
        }
    }

    /// Whether there is nothing to drop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vcpus == 0 && self.pages.is_empty()
    }
}

/// Everything to do before the guest runs, stores first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Entries to show to the CPU, in the order they were written.
    pub stores: Vec<Store>,
    /// Translations to drop once they are shown.
    pub flush: Flush,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_pages_become_a_full_flush_of_the_same_cpus() {
        let mut flush = Flush::default();
        for page in 0..FLUSH_PAGES as u64 {
            flush.page(1 << (page % 2), Vaddr(page << 12 | 5));
        }
        assert_eq!(flush.vcpus, 0);
        assert_eq!(flush.pages[1], (2, Vaddr(0x1000)));
        flush.page(4, Vaddr(0x5000));
        assert_eq!((flush.vcpus, flush.pages.len()), (7, 0));
        flush.page(3, Vaddr(0x6000));
        assert!(flush.pages.is_empty());
    }
}
