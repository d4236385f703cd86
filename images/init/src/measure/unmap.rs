//! `munmap`: `zap_pte_range`, of pages that are there and of pages in swap.

use super::region::Region;
use super::section::{Section, Trouble};
use std::fs;

pub(super) fn present(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::written(pages)?;
    section.measure(|| region.unmap())
}

pub(super) fn swapped(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() < 2 {
        return Err(Trouble::Lacking("no swap is on".into()));
    }
    let region = Region::written(pages)?;
    region.madvise(libc::MADV_PAGEOUT)?;
    section.measure(|| region.unmap())
}
