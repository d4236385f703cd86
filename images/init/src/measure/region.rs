//! Memory to work on: aligned to what one page table maps, so that up to 512 pages share a table,
//! and unmapped when dropped.
#![allow(unsafe_code, reason = "mappings of known extent, used by nobody else")]

use super::section::Trouble;
use libc::{
    MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ,
    PROT_WRITE, c_int, c_void,
};
use std::ptr;

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;
/// Bytes one page table maps.
pub(super) const TABLE: usize = 512 * PAGE;

/// Where pages are, and how many.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) at: usize,
    pub(super) pages: usize,
}

impl Region {
    /// Reserved addresses, without access.
    pub(super) fn reserve(pages: usize) -> Result<Region, Trouble> {
        let len = pages * PAGE;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        // SAFETY: a new mapping, where the kernel likes.
        let at = unsafe { libc::mmap(ptr::null_mut(), len + 2 * TABLE, PROT_NONE, flags, -1, 0) };
        if at == MAP_FAILED {
            return Err(Trouble::failed("mmap"));
        }
        let start = at.addr();
        let aligned = start.next_multiple_of(TABLE);
        // A table more at the end keeps neighbours out of ours.
        let end = (aligned + len).next_multiple_of(PAGE);
        // SAFETY: parts of the mapping just made, which nobody uses.
        unsafe {
            if aligned > start {
                libc::munmap(at, aligned - start);
            }
            libc::munmap(end as *mut c_void, start + len + 2 * TABLE - end);
        }
        Ok(Region { at: aligned, pages })
    }

    /// Anonymous memory, private, readable and writable; not there yet.
    pub(super) fn anonymous(pages: usize) -> Result<Region, Trouble> {
        let region = Region::reserve(pages)?;
        region.map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
        Ok(region)
    }

    /// The same, each page written to.
    pub(super) fn written(pages: usize) -> Result<Region, Trouble> {
        let region = Region::anonymous(pages)?;
        region.write();
        Ok(region)
    }

    /// Maps something over the whole of it.
    pub(super) fn map(&self, prot: c_int, flags: c_int, fd: c_int, at: i64) -> Result<(), Trouble> {
        // SAFETY: the addresses are ours, and nothing holds references into them.
        let mapped =
            unsafe { libc::mmap(self.start(), self.len(), prot, flags | MAP_FIXED, fd, at) };
        match mapped == MAP_FAILED {
            true => Err(Trouble::failed("mmap")),
            false => Ok(()),
        }
    }

    /// Writes a byte of each page.
    pub(super) fn write(&self) {
        for page in 0..self.pages {
            // SAFETY: mapped writable, by the caller's word; a volatile access to plain memory.
            unsafe { ptr::write_volatile((self.at + page * PAGE) as *mut u8, 1) };
        }
    }

    /// Reads a byte of every `step`-th page.
    pub(super) fn read(&self, step: usize) {
        for page in (0..self.pages).step_by(step) {
            // SAFETY: mapped readable, by the caller's word; a volatile access to plain memory.
            unsafe { ptr::read_volatile((self.at + page * PAGE) as *const u8) };
        }
    }

    pub(super) fn madvise(&self, advice: c_int) -> Result<(), Trouble> {
        // SAFETY: advice on pages that nothing holds references into.
        match unsafe { libc::madvise(self.start(), self.len(), advice) } {
            0 => Ok(()),
            _ => Err(Trouble::lacking("madvise")),
        }
    }

    pub(super) fn mprotect(&self, prot: c_int) -> Result<(), Trouble> {
        // SAFETY: nothing holds references into these pages.
        match unsafe { libc::mprotect(self.start(), self.len(), prot) } {
            0 => Ok(()),
            _ => Err(Trouble::failed("mprotect")),
        }
    }

    /// Unmaps it now.
    pub(super) fn unmap(&self) -> Result<(), Trouble> {
        // SAFETY: nothing holds references into these pages.
        match unsafe { libc::munmap(self.start(), self.len()) } {
            0 => Ok(()),
            _ => Err(Trouble::failed("munmap")),
        }
    }

    /// Moves all of it to `at`, which is reserved and large enough.
    pub(super) fn move_to(&self, at: usize) -> Result<(), Trouble> {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let to = at as *mut c_void;
        // SAFETY: both places are ours, and nothing holds references into them.
        let moved = unsafe { libc::mremap(self.start(), self.len(), self.len(), flags, to) };
        match moved == MAP_FAILED {
            true => Err(Trouble::failed("mremap")),
            false => Ok(()),
        }
    }

    pub(super) fn start(&self) -> *mut c_void {
        self.at as *mut c_void
    }

    pub(super) fn len(&self) -> usize {
        self.pages * PAGE
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // What is unmapped already stays so.
        let _ = self.unmap();
    }
}
