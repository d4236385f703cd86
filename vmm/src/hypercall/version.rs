//! `xen_version`: who we are and what we can do.

use super::{Answer, read, write};
use crate::domain::{Domain, VERSION};
use hypercalls::version::*;
use hypercalls::{Errno, PAGE_SIZE, Vaddr, pte::HYPERVISOR_L4_SLOTS};

/// Features of the first submap. Page tables are read-only and descriptor tables are typed, so
/// those two features of Xen's are not offered.
const FEATURES: u32 = 1 << XENFEAT_PAE_PGDIR_ABOVE_4GB
    | 1 << XENFEAT_MMU_PT_UPDATE_PRESERVE_AD
    | 1 << XENFEAT_GNTTAB_MAP_AVAIL_BITS;

/// Version, texts, features, page size.
pub(super) fn xen_version(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let at = args[1];
    match args[0] as u32 {
        XENVER_VERSION => Ok(i64::from(VERSION.0) << 16 | i64::from(VERSION.1)),
        XENVER_EXTRAVERSION => put(dom, cpu, at, text::<16>("-xenlet")),
        XENVER_COMPILE_INFO => put(dom, cpu, at, compile_info()),
        XENVER_CAPABILITIES => put(dom, cpu, at, text::<1024>("xen-3.0-x86_64 ")),
        XENVER_CHANGESET => put(dom, cpu, at, text::<64>("none")),
        XENVER_PLATFORM_PARAMETERS => put(dom, cpu, at, hole().0.to_le_bytes()),
        XENVER_GET_FEATURES => features(dom, cpu, at),
        XENVER_PAGESIZE => Ok(PAGE_SIZE as i64),
        XENVER_GUEST_HANDLE => put(dom, cpu, at, [0; 16]),
        XENVER_COMMANDLINE => put(dom, cpu, at, text::<1024>("")),
        _ => Err(Errno::ENOSYS),
    }
}

fn features(dom: &Domain, cpu: usize, at: u64) -> Answer {
    let mut info: FeatureInfo = read(dom, cpu, at)?;
    if info.submap_idx != 0 {
        return Err(Errno::EINVAL);
    }
    info.submap = FEATURES;
    write(dom, cpu, at, &info).map(|()| 0)
}

/// The first address of the hypervisor's hole.
fn hole() -> Vaddr {
    Vaddr::from_l4_slot(*HYPERVISOR_L4_SLOTS.start() as u64)
}

/// Compiler (64), builder (16), domain (32), date (32).
fn compile_info() -> [u8; 144] {
    let mut info = [0; 144];
    info[..64].copy_from_slice(&text::<64>("rustc"));
    info[64..80].copy_from_slice(&text::<16>("xenlet"));
    info
}

/// Text, zero padded; the last byte stays 0.
fn text<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().take(N - 1).zip(text.bytes()) {
        *to = from;
    }
    bytes
}

fn put<const N: usize>(dom: &Domain, cpu: usize, at: u64, bytes: [u8; N]) -> Answer {
    write(dom, cpu, at, &bytes).map(|()| 0)
}
