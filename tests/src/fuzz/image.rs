//! Kernel files: ELF, notes, bzImage, each compression. Whatever the bytes are: an [`Image`] that
//! keeps what it promises, or an error; within bounds of time and memory. What can be loaded is
//! loaded, and the references of the domain are recounted.
//!
//! The first byte of an input says what the rest is: even, a file; odd, a bzImage's payload, so
//! that mutations of a compressed stream need not keep a boot header right.

use crate::chaos::recounted;
use hypercalls::{Level, PAGE_SIZE};
use peak_alloc::PeakAlloc;
use std::time::{Duration, Instant};
use xenlet::domain::{self, DomainConfig, HostLayout, Program};
use xenlet::image::{Image, Segment};

/// Bytes looked at.
pub const LONGEST: usize = 1 << 16;
/// A payload in an input may say that it unpacks to less than this: larger ones take only time.
const SAID: u32 = 1 << 21;
/// What reading a file may take beyond four times what it says it unpacks to, and the file: a
/// decoder's dictionary (256 MiB at most) and its blocks.
const BEYOND: usize = 384 << 20;
/// How long it may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
/// Memory of the domain that is built, in MiB.
const MEM_MIB: u64 = 16;

/// The target.
///
/// # Panics
/// If something does not hold.
pub fn image(input: &[u8]) {
    let Some((&kind, rest)) = input[..input.len().min(LONGEST)].split_first() else {
        return;
    };
    let file = if kind & 1 == 0 {
        rest.to_vec()
    } else {
        bzimage(rest)
    };
    let most = BEYOND + 4 * unpacked(&file) + 4 * file.len();
    let (start, before) = (Instant::now(), PeakAlloc.current_usage());
    PeakAlloc.reset_peak_usage();
    let parsed = Image::parse(file);
    let (took, used) = (
        start.elapsed(),
        PeakAlloc.peak_usage().saturating_sub(before),
    );
    assert!(took < PATIENCE, "it took {took:?}");
    assert!(used < most, "it took {used} bytes, {most} are enough");
    if let Ok(image) = parsed {
        keeps_its_promises(&image);
        loads(&image);
    }
}

/// A boot sector, a setup sector and the payload, its length trailer below [`SAID`].
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if let Some(trailer) = payload.last_chunk_mut::<4>() {
        *trailer = (u32::from_le_bytes(*trailer) % SAID).to_le_bytes();
    }
    let mut file = vec![0; 1024];
    file[0x1f1] = 1; // setup_sects
    file[0x1fe..0x200].copy_from_slice(&0xaa55_u16.to_le_bytes());
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file.extend(payload);
    file
}

/// The most a payload that ends where the file ends, or anywhere in it, says it unpacks to.
fn unpacked(file: &[u8]) -> usize {
    let word = |at: usize| {
        let bytes = file.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let payload = || {
        let setup = match *file.get(0x1f1)? {
            0 => 4,
            n => usize::from(n),
        };
        let end = (setup + 1) * 512 + word(0x248)? + word(0x24c)?;
        word(end.checked_sub(4)?)
    };
    payload().unwrap_or(0)
}

fn keeps_its_promises(image: &Image) {
    let base = image.virt_base.0;
    assert!(!image.segments.is_empty());
    for pair in image.segments.windows(2) {
        assert!(pair[0].paddr_end() <= pair[1].paddr, "{pair:?}");
    }
    for segment in &image.segments {
        let Segment {
            paddr,
            vaddr,
            data,
            mem_size,
        } = segment;
        assert_eq!(image.data(segment).len(), data.len(), "{segment:?}");
        assert!(data.len() as u64 <= *mem_size, "{segment:?}");
        assert_eq!(vaddr.0, base + paddr, "{segment:?}");
        for at in [*vaddr, vaddr.add(mem_size - 1)] {
            assert!(at.is_canonical(), "{segment:?}");
            assert!(!(256..272).contains(&at.slot(Level::L4)), "{segment:?}");
        }
    }
    let inside =
        |va: u64| (image.paddr_start()..image.paddr_end()).contains(&va.wrapping_sub(base));
    assert!(inside(image.entry.0), "{:?}", image.entry);
    if let Some(page) = image.notes.hypercall_page {
        assert!(inside(page.0) && inside(page.0 + PAGE_SIZE - 1), "{page:?}");
    }
}

fn loads(image: &Image) {
    let config = DomainConfig {
        mem_mib: MEM_MIB,
        ..DomainConfig::default()
    };
    let host = HostLayout::bare(MEM_MIB);
    let Ok((mut dom, regs)) = domain::build(&Program::from(image), &config, &host) else {
        return;
    };
    assert_eq!(regs.rip, image.entry.0);
    if let Err(wrong) = recounted(&mut dom) {
        panic!("{wrong}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_what_the_payload_says() {
        let file = bzimage(b"BZh91AY\x34\x12\0\0");
        assert_eq!(unpacked(&file), 0x1234);
        assert!(Image::parse(file).is_err());
        assert_eq!(unpacked(b"\x7fELF"), 0);
    }
}
