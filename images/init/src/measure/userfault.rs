//! What needs a userfaultfd: PAGEMAP_SCAN with write protection (`pagemap_scan_pmd_entry`),
//! UFFDIO_MOVE (`move_present_ptes`), and entries that are markers (`zap_pte_range`).
#![allow(unsafe_code, reason = "system calls without a wrapper")]

use super::region::Region;
use super::section::{Section, Trouble};
use libc::{MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `UFFD_API`, of `linux/userfaultfd.h`, as everything here that begins with UFFD.
const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
const UFFD_FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
const UFFD_FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
const UFFD_FEATURE_MOVE: u64 = 1 << 16;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1 << 0;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const UFFDIO_API: u64 = iowr(0xaa, 0x3f, 24);
const UFFDIO_REGISTER: u64 = iowr(0xaa, 0x00, 32);
const UFFDIO_MOVE: u64 = iowr(0xaa, 0x05, 40);
const UFFDIO_WRITEPROTECT: u64 = iowr(0xaa, 0x06, 24);
const UFFDIO_WRITEPROTECT_MODE_WP: u64 = 1 << 0;

/// `PAGEMAP_SCAN`, of `linux/fs.h`, as everything here that begins with PM or PAGE.
const PAGEMAP_SCAN: u64 = iowr(b'f', 16, 96);
const PM_SCAN_WP_MATCHING: u64 = 1 << 0;
const PM_SCAN_CHECK_WPASYNC: u64 = 1 << 1;
const PAGE_IS_WRITTEN: u64 = 1 << 1;

/// Words of the longest request.
const WORDS: usize = 12;

/// A request that reads and writes `size` bytes.
const fn iowr(kind: u8, number: u8, size: u64) -> u64 {
    3 << 30 | size << 16 | (kind as u64) << 8 | number as u64
}

/// One request; its words may come back changed.
fn ioctl(fd: RawFd, request: u64, words: &mut [u64; WORDS]) -> Result<i32, ()> {
    // SAFETY: every request here reads and writes at most WORDS words, as its number says.
    let done = unsafe { libc::ioctl(fd, request as _, words.as_mut_ptr()) };
    if done < 0 { Err(()) } else { Ok(done) }
}

fn words(first: &[u64]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    words[..first.len()].copy_from_slice(first);
    words
}

/// A userfaultfd with these features, `region` registered with it.
fn userfault(features: u64, region: &Region, mode: u64) -> Result<OwnedFd, Trouble> {
    // SAFETY: the call takes flags only.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Trouble::lacking("userfaultfd"));
    }
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    ioctl(
        fd.as_raw_fd(),
        UFFDIO_API,
        &mut words(&[UFFD_API, features]),
    )
    .map_err(|()| Trouble::lacking("the userfaultfd feature"))?;
    let register = [region.at as u64, region.len() as u64, mode];
    ioctl(fd.as_raw_fd(), UFFDIO_REGISTER, &mut words(&register))
        .map_err(|()| Trouble::lacking("UFFDIO_REGISTER"))?;
    Ok(fd)
}

/// Write-protects all pages that were written to.
pub(super) fn pagemap_scan(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::anonymous(pages)?;
    let features =
        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC;
    let _watched = userfault(features, &region, UFFDIO_REGISTER_MODE_WP)?;
    region.write();
    let pagemap = File::open("/proc/self/pagemap")
        .map_err(|e| Trouble::Failed(format!("/proc/self/pagemap: {e}")))?;
    let (start, end) = (region.at as u64, (region.at + region.len()) as u64);
    // Few of so many ranges are needed: neighbours with the same answer are one.
    let mut found = [[0_u64; 3]; 8];
    let ranges = (found.as_mut_ptr().addr() as u64, found.len() as u64);
    let flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC;
    let mut scan = [
        8 * WORDS as u64,
        flags,
        start,
        end,
        0,
        ranges.0,
        ranges.1,
        0,
        0,
        PAGE_IS_WRITTEN,
        0,
        PAGE_IS_WRITTEN,
    ];
    let done = section.measure(|| {
        ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &mut scan)
            .map_err(|()| Trouble::lacking("PAGEMAP_SCAN"))
    })?;
    // One range, and the scan's end is the region's.
    match (done, scan[4]) {
        (1, walked) if walked == end => Ok(()),
        other => Err(Trouble::Failed(format!("PAGEMAP_SCAN found {other:x?}"))),
    }
}

/// Unmaps pages that are not there. Write-protected before they were ever touched, each page of
/// shared memory has a marker for its entry: not present and not empty, as an entry in swap is, and
/// cleared the same way. A cloud kernel has no swap built in to put pages into.
pub(super) fn munmap_markers(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let region = Region::reserve(pages)?;
    region.map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)?;
    let features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
    // Closed, it would take its markers along.
    let watched = userfault(features, &region, UFFDIO_REGISTER_MODE_WP)?;
    let (start, len) = (region.at as u64, region.len() as u64);
    let mut protect = words(&[start, len, UFFDIO_WRITEPROTECT_MODE_WP]);
    ioctl(watched.as_raw_fd(), UFFDIO_WRITEPROTECT, &mut protect)
        .map_err(|()| Trouble::lacking("UFFDIO_WRITEPROTECT"))?;
    section.measure(|| region.unmap())
}

/// Moves pages to a place where a fault would be waited for.
pub(super) fn uffd_move(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let (from, to) = (Region::written(pages)?, Region::anonymous(pages)?);
    let fd = userfault(UFFD_FEATURE_MOVE, &to, UFFDIO_REGISTER_MODE_MISSING)?;
    let mut request = words(&[to.at as u64, from.at as u64, from.len() as u64, 0, 0]);
    section.measure(|| {
        ioctl(fd.as_raw_fd(), UFFDIO_MOVE, &mut request)
            .map_err(|()| Trouble::lacking("UFFDIO_MOVE"))
    })?;
    Ok(())
}
