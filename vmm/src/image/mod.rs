//! Kernel files: bytes → [`Image`].
//!
//! Owns what a file says about itself: its segments, its entry point and its Xen notes. Comes in:
//! a path or bytes, possibly hostile. Goes out: an [`Image`] whose segments are disjoint, lie in
//! the file and below the hypervisor's hole, or one line of [`ImageError`]. Where segments land
//! in a domain, and whether they fit, is the builder's business.

mod bzimage;
mod elf;
mod error;
mod features;
mod legacy;
mod notes;
#[cfg(test)]
mod testelf;
#[cfg(test)]
mod tests;
mod unpack;

pub use error::{ImageError, OpenError};
pub use features::Features;
pub use notes::{NoteSource, Notes};
pub use unpack::{MAX_UNPACKED, UnpackError};

use hypercalls::Vaddr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// The largest kernel or initrd read: 1 GiB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// A 64-bit Xen PV kernel.
#[derive(Clone, Debug)]
pub struct Image {
    /// The first instruction.
    pub entry: Vaddr,
    /// The virtual address of pseudo-physical address 0.
    pub virt_base: Vaddr,
    /// What was taken off each program header's `p_paddr` to get [`Segment::paddr`].
    pub paddr_offset: u64,
    /// What is to be loaded, in order of `paddr`, disjoint; at least one.
    pub segments: Vec<Segment>,
    /// What the kernel says about itself.
    pub notes: Notes,
    bytes: Vec<u8>,
}

/// A piece of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its pseudo-physical address in bytes: `p_paddr` − PADDR_OFFSET.
    pub paddr: u64,
    /// Its virtual address: VIRT_BASE + `paddr`.
    pub vaddr: Vaddr,
    /// Its bytes in the file: [`Image::data`].
    pub data: Range<usize>,
    /// Its size in memory; what `data` does not cover is zero.
    pub mem_size: u64,
}

impl Segment {
    /// The pseudo-physical address after its last byte.
    #[must_use]
    pub fn paddr_end(&self) -> u64 {
        self.paddr + self.mem_size
    }
}

impl Image {
    /// Reads a kernel file.
    ///
    /// # Errors
    /// If it cannot be read or is no 64-bit Xen PV kernel.
    pub fn open(path: &Path) -> Result<Image, OpenError> {
        let bytes = read(path).map_err(|source| OpenError::Read {
            path: path.to_owned(),
            source,
        })?;
        Image::parse(bytes).map_err(|source| OpenError::Bad {
            path: path.to_owned(),
            source,
        })
    }

    /// Understands a kernel file's bytes.
    ///
    /// # Errors
    /// If they are no 64-bit Xen PV kernel.
    pub fn parse(bytes: Vec<u8>) -> Result<Image, ImageError> {
        let elf = bzimage::kernel(&bytes)?;
        elf::image(elf.unwrap_or(bytes))
    }

    /// A segment's bytes, at most `mem_size` of them.
    #[must_use]
    pub fn data(&self, segment: &Segment) -> &[u8] {
        self.bytes.get(segment.data.clone()).unwrap_or(&[])
    }

    /// A section of the file by name: its virtual address and its bytes. Files need not have any.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<(u64, &[u8])> {
        elf::section(&self.bytes, name)
    }

    /// The lowest pseudo-physical address loaded.
    #[must_use]
    pub fn paddr_start(&self) -> u64 {
        self.segments.first().map_or(0, |s| s.paddr)
    }

    /// The pseudo-physical address after the last byte loaded.
    #[must_use]
    pub fn paddr_end(&self) -> u64 {
        self.segments.last().map_or(0, Segment::paddr_end)
    }
}

/// A regular file's bytes, at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// If it is another kind of file, larger, or cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("larger than 1 GiB"));
    }
    Ok(bytes)
}
