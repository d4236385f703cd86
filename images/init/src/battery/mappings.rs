//! Mappings made and undone: hundreds, of many sizes, in an order that leaves holes, their contents
//! checked before each goes.
#![allow(unsafe_code, reason = "mmap and munmap work on addresses")]

use super::outcome::{Outcome, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

const PAGE: usize = 4096;
/// Mappings made in all, and of them at once.
const ROUNDS: usize = 300;
const KEPT: usize = 64;
/// Sizes go round from one page to this many.
const PAGES: usize = 17;

/// Pages of our own, each with the mapping's number in its first and last word.
struct Mapping {
    at: NonNull<c_void>,
    pages: usize,
    number: u64,
}

impl Mapping {
    fn new(number: usize) -> nix::Result<Mapping> {
        let pages = number % PAGES + 1;
        let length = NonZeroUsize::new(pages * PAGE).ok_or(nix::Error::EINVAL)?;
        let rw = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
        let at = unsafe { mmap_anonymous(None, length, rw, MapFlags::MAP_PRIVATE)? };
        let mapping = Mapping {
            at,
            pages,
            number: number as u64,
        };
        mapping.words().for_each(|word| {
            // SAFETY: as in `is_whole`; nobody else knows the mapping yet.
            unsafe { word.write_volatile(mapping.number) };
        });
        Ok(mapping)
    }

    fn words(&self) -> impl Iterator<Item = *mut u64> {
        let first = self.at.cast::<u64>().as_ptr();
        let words = PAGE / size_of::<u64>();
        (0..self.pages).flat_map(move |page| {
            let (first_word, last_word) = (page * words, (page + 1) * words - 1);
            [
                first.wrapping_add(first_word),
                first.wrapping_add(last_word),
            ]
        })
    }

    fn is_whole(&self) -> bool {
        // SAFETY: `words` stays within the `pages` pages that are mapped until `drop`, aligned.
        self.words()
            .all(|word| unsafe { word.read_volatile() } == self.number)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and its only pointer goes with it.
        let _ = unsafe { munmap(self.at, self.pages * PAGE) };
    }
}

/// Makes `ROUNDS`, keeping `KEPT` of them.
pub(super) fn check() -> Outcome {
    let mut kept: Vec<Option<Mapping>> = (0..KEPT).map(|_| None).collect();
    for number in 0..ROUNDS {
        // 29 is no divisor of KEPT: every place comes round.
        let place = &mut kept[number * 29 % KEPT];
        if let Some(old) = place.take() {
            ensure(old.is_whole(), || {
                format!("mapping {} has changed", old.number)
            })?;
        }
        *place = Some(Mapping::new(number)?);
    }
    for old in kept.into_iter().flatten() {
        ensure(old.is_whole(), || {
            format!("mapping {} has changed", old.number)
        })?;
    }
    Ok(())
}
