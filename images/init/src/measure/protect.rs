//! `mprotect`: `change_pte_range`. And the empty section, which shows what a section costs by
//! itself.

use super::region::Region;
use super::section::{Section, Trouble};

pub(super) fn nothing(_pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    section.measure(|| Ok(()))
}

pub(super) fn mprotect(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::written(pages)?;
    section.measure(|| region.mprotect(libc::PROT_READ))
}
