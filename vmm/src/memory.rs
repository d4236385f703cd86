//! The machine's memory: one mapping of all its frames, addressed by [`Maddr`].
//!
//! Owns the mmap. Comes in: machine addresses, possibly a guest's (so any value). Goes out: copies
//! of bytes, never references. The guest may write at any moment, from another vCPU, so nothing
//! read here stays true: copy once, validate the copy. Eight-byte accesses are atomic.

use hypercalls::{Maddr, Mfn, PAGE_SIZE};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use vm_memory::mmap::FromRangesError;
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion, VolatileMemory};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An address that is not this machine's memory, or not aligned as the access needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("machine address {0} is outside memory or misaligned")]
pub struct BadMaddr(pub Maddr);

/// The host did not give the memory.
#[derive(Debug, Error)]
#[error("cannot map {frames} frames of guest memory")]
pub struct MemoryError {
    frames: u64,
    #[source]
    source: FromRangesError,
}

/// All frames of the machine, from [`Mfn`] 0. A clone shares the mapping.
#[derive(Clone, Debug)]
pub struct Memory {
    inner: GuestMemoryMmap,
    /// The only region of it, at address 0: what every access goes to without a search.
    region: Arc<MmapRegion>,
    frames: u64,
}

impl Memory {
    /// Maps `frames` zeroed frames; the host commits them as they are touched.
    ///
    /// # Errors
    /// If the host refuses the mapping.
    pub fn new(frames: u64) -> Result<Self, MemoryError> {
        Memory::map(frames).map_err(|source| MemoryError { frames, source })
    }

    fn map(frames: u64) -> Result<Self, FromRangesError> {
        let bytes = (frames * PAGE_SIZE) as usize;
        let region = GuestRegionMmap::from_range(GuestAddress(0), bytes, None)?;
        Ok(Memory {
            region: region.get_mmap(),
            inner: GuestMemoryMmap::from_regions(vec![region])?,
            frames,
        })
    }

    /// How many frames there are.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether `mfn` is one of them.
    #[must_use]
    pub fn contains(&self, mfn: Mfn) -> bool {
        mfn.0 < self.frames
    }

    /// The mapping itself, for the KVM memory slot.
    #[must_use]
    pub fn mapping(&self) -> &GuestMemoryMmap {
        &self.inner
    }

    /// Copies bytes out of memory.
    ///
    /// # Errors
    /// If any byte is outside memory.
    #[inline]
    pub fn read(&self, at: Maddr, into: &mut [u8]) -> Result<(), BadMaddr> {
        let bytes = self.region.get_slice(at.0 as usize, into.len());
        bytes.map_err(|_| BadMaddr(at))?.copy_to(into);
        Ok(())
    }

    /// Copies bytes into memory.
    ///
    /// # Errors
    /// If any byte is outside memory; nothing is written then.
    #[inline]
    pub fn write(&self, at: Maddr, from: &[u8]) -> Result<(), BadMaddr> {
        let bytes = self.region.get_slice(at.0 as usize, from.len());
        bytes.map_err(|_| BadMaddr(at))?.copy_from(from);
        Ok(())
    }

    /// Copies one value out.
    ///
    /// # Errors
    /// If any byte is outside memory.
    pub fn read_obj<T: FromBytes + IntoBytes>(&self, at: Maddr) -> Result<T, BadMaddr> {
        let mut value = T::new_zeroed();
        self.read(at, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies one value in.
    ///
    /// # Errors
    /// If any byte is outside memory.
    pub fn write_obj<T: IntoBytes + Immutable>(
        &self,
        at: Maddr,
        value: &T,
    ) -> Result<(), BadMaddr> {
        self.write(at, value.as_bytes())
    }

    /// Reads eight bytes at once.
    ///
    /// # Errors
    /// If they are outside memory or not 8-byte aligned.
    #[inline]
    pub fn read_u64(&self, at: Maddr) -> Result<u64, BadMaddr> {
        self.with_atomic(at, |cell| cell.load(Ordering::Acquire))
    }

    /// Writes eight bytes at once.
    ///
    /// # Errors
    /// If they are outside memory or not 8-byte aligned.
    #[inline]
    pub fn write_u64(&self, at: Maddr, value: u64) -> Result<(), BadMaddr> {
        self.with_atomic(at, |cell| cell.store(value, Ordering::Release))
    }

    /// Writes `new` if memory still holds `old`; the inner result is what memory held.
    ///
    /// # Errors
    /// If the eight bytes are outside memory or not 8-byte aligned.
    #[inline]
    pub fn compare_exchange_u64(
        &self,
        at: Maddr,
        old: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, BadMaddr> {
        self.with_atomic(at, |cell| {
            cell.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
        })
    }

    #[inline]
    fn with_atomic<R>(&self, at: Maddr, op: impl FnOnce(&AtomicU64) -> R) -> Result<R, BadMaddr> {
        let cell = self.region.get_atomic_ref::<AtomicU64>(at.0 as usize);
        cell.map(op).map_err(|_| BadMaddr(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_access_is_bounded_and_aligned() {
        let memory = Memory::new(2).expect("two frames");
        assert_eq!(memory.read_u64(Maddr(0x1ff8)), Ok(0));
        for bad in [0x2000, 0x1ffc, 4, u64::MAX, u64::MAX - 7] {
            assert_eq!(memory.read_u64(Maddr(bad)), Err(BadMaddr(Maddr(bad))));
        }
        assert!(memory.write(Maddr(0x1fff), &[1, 2]).is_err());
        assert_eq!(memory.compare_exchange_u64(Maddr(8), 0, 7), Ok(Ok(0)));
        assert_eq!(memory.compare_exchange_u64(Maddr(8), 0, 9), Ok(Err(7)));
        assert_eq!(memory.read_obj::<u64>(Maddr(8)), Ok(7));
    }
}
