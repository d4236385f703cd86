//! Mappings the kernel makes of what is no anonymous memory: /dev/mem (`remap_pfn_range`), and a
//! BPF map, whose memory is the kernel's own (`vmap_pages_range`).
#![allow(unsafe_code, reason = "system calls without a wrapper")]

use super::region::{PAGE, Region};
use super::section::{Section, Trouble};
use libc::{MAP_SHARED, PROT_READ};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `BPF_MAP_CREATE`, `BPF_MAP_TYPE_ARRAY` and `BPF_F_MMAPABLE`, of `linux/bpf.h`.
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// The first pages of the machine, which a kernel gives even if it is strict.
pub(super) fn remap_pfn(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let mem = File::open("/dev/mem").map_err(|e| Trouble::Lacking(format!("/dev/mem: {e}")))?;
    let region = Region::reserve(pages)?;
    section.measure(|| {
        let mapped = region.map(PROT_READ, MAP_SHARED, mem.as_raw_fd(), 0);
        mapped.map_err(|_| Trouble::lacking("mmap of /dev/mem"))
    })
}

/// An array a page an element. It goes away later, by the kernel's own tasks.
pub(super) fn bpf_map(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    // Type, bytes of a key, bytes of a value, elements, flags; the rest is 0.
    let mut attr = [0_u32; 18];
    attr[..5].copy_from_slice(&[
        BPF_MAP_TYPE_ARRAY,
        4,
        PAGE as u32,
        pages as u32,
        BPF_F_MMAPABLE,
    ]);
    let (at, size) = (attr.as_ptr(), size_of_val(&attr));
    let made = section.measure(|| {
        // SAFETY: reads `size` bytes at `at`, which are there.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, at, size) };
        if fd < 0 {
            return Err(Trouble::lacking("BPF_MAP_CREATE"));
        }
        // SAFETY: just made, and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    })?;
    drop(made);
    Ok(())
}
