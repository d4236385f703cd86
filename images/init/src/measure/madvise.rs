//! `madvise`: `madvise_cold_or_pageout_pte_range`, `madvise_free_pte_range`, `zap_pte_range`.

use super::region::Region;
use super::section::{Section, Trouble};
use libc::c_int;

pub(super) fn cold(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    advise(pages, libc::MADV_COLD, section)
}

pub(super) fn free(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    advise(pages, libc::MADV_FREE, section)
}

pub(super) fn dontneed(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    advise(pages, libc::MADV_DONTNEED, section)
}

fn advise(pages: usize, advice: c_int, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::written(pages)?;
    section.measure(|| region.madvise(advice))
}
