//! `mremap`: `move_ptes`.

use super::region::{PAGE, Region};
use super::section::{Section, Trouble};

/// To a place one page off, seen from the page table: a table that fits as a whole is moved as a
/// whole.
pub(super) fn mremap(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let from = Region::written(pages)?;
    let to = Region::reserve(pages + 1)?;
    section.measure(|| from.move_to(to.at + PAGE))
}
