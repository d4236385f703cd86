//! Pages that come: `mmap` with MAP_POPULATE, first touches, and `filemap_map_pages`.

use super::region::{PAGE, Region};
use super::section::{Section, Trouble};
use libc::{MAP_ANONYMOUS, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

/// Pages Linux maps around a fault of a file.
const AROUND: usize = 16;

pub(super) fn mmap_populate(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::reserve(pages)?;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    section.measure(|| region.map(PROT_READ | PROT_WRITE, flags, -1, 0))
}

/// One fault a page.
pub(super) fn touch(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::anonymous(pages)?;
    section.measure(|| {
        region.write();
        Ok(())
    })
}

/// One fault sixteen pages of a file that is in memory.
pub(super) fn fault_around(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    const FILE: &str = "/tmp/fault_around";
    let failed = |e| Trouble::Failed(format!("{FILE}: {e}"));
    let mut file = File::options();
    let file = file.read(true).write(true).create(true).truncate(true);
    let mut file = file.open(FILE).map_err(failed)?;
    file.write_all(&vec![1; pages * PAGE]).map_err(failed)?;
    let region = Region::reserve(pages)?;
    region.map(PROT_READ, MAP_SHARED, file.as_raw_fd(), 0)?;
    section.measure(|| {
        region.read(AROUND);
        Ok(())
    })
}
