//! What the loader accepts, where it puts it, and each way a file can be wrong.

use super::testelf::{TestElf, Where};
use super::*;
use hypercalls::elfnote;

const BASE: u64 = 0xffff_ffff_8000_0000;

fn parse(elf: &TestElf) -> Result<Image, ImageError> {
    Image::parse(elf.write())
}

fn refused(elf: &TestElf) -> ImageError {
    parse(elf).expect_err("must be refused")
}

#[test]
fn p_paddr_decides_where_a_segment_goes() {
    let image = parse(&TestElf::default()).expect("a kernel");
    let segment = &image.segments[0];
    assert_eq!(segment.paddr, 0x20_0000);
    assert_eq!(segment.vaddr, Vaddr(BASE + 0x20_0000));
    assert_eq!(segment.mem_size, 0x2000);
    assert_eq!(image.data(segment), vec![0x90; 0x1000]);
    assert_eq!(image.entry, Vaddr(BASE + 0x20_0000));
    assert_eq!(
        (image.paddr_start(), image.paddr_end()),
        (0x20_0000, 0x20_2000)
    );
}

#[test]
fn paddr_offset_comes_off_and_segments_are_sorted() {
    let offset = 0x10_0000_u64;
    let elf = TestElf::default()
        .load(0x14_0000, 0x10)
        .note(elfnote::PADDR_OFFSET, &offset.to_le_bytes())
        .note(elfnote::ENTRY, &(BASE + 0x4_0000).to_le_bytes());
    let image = parse(&elf).expect("a kernel");
    let paddrs: Vec<u64> = image.segments.iter().map(|s| s.paddr).collect();
    assert_eq!(paddrs, [0x4_0000, 0x10_0000]);
    assert_eq!(image.entry, Vaddr(BASE + 0x4_0000));
    assert_eq!(image.segments[0].vaddr, image.entry);
}

#[test]
fn a_bss_only_segment_counts() {
    let mut elf = TestElf::default().load(0x30_0000, 0x5000);
    elf.loads[1].data.clear();
    let image = parse(&elf).expect("a kernel");
    assert_eq!(image.paddr_end(), 0x30_5000);
    assert!(image.data(&image.segments[1]).is_empty());
}

#[test]
fn notes_are_read_wherever_they_are() {
    for place in [Where::Segment, Where::Section] {
        let elf = TestElf {
            place,
            ..TestElf::default()
        };
        let elf = elf
            .note(elfnote::INIT_P2M, &0x80_0000_0000_u64.to_le_bytes())
            .note(elfnote::MOD_START_PFN, &1_u32.to_le_bytes())
            .note(elfnote::SUPPORTED_FEATURES, &0x8801_u32.to_le_bytes())
            .note(elfnote::HYPERCALL_PAGE, &(BASE + 0x20_1000).to_le_bytes());
        let notes = parse(&elf).expect("a kernel").notes;
        assert_eq!(notes.init_p2m, Some(Vaddr(0x80_0000_0000)));
        assert_eq!(notes.hypercall_page, Some(Vaddr(BASE + 0x20_1000)));
        assert!(notes.mod_start_pfn);
        assert_eq!(notes.features.supported, 0x8801);
    }
}

#[test]
fn the_legacy_string_is_the_last_resort() {
    let mut elf = TestElf {
        place: Where::Legacy,
        legacy: "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0x0",
        ..TestElf::default()
    };
    let image = parse(&elf).expect("a kernel");
    assert_eq!(image.notes.source, NoteSource::Legacy);
    assert_eq!(image.segments[0].vaddr, Vaddr(BASE + 0x20_0000));
    elf.place = Where::Nowhere;
    assert_eq!(refused(&elf), ImageError::NoNotes);
}

#[test]
fn mandatory_notes_are_mandatory() {
    let elf = TestElf::default();
    let no_version = refused(&elf.clone().without(elfnote::XEN_VERSION));
    assert_eq!(no_version, ImageError::MissingNote("XEN_VERSION"));
    let no_loader = elf.clone().without(elfnote::LOADER);
    assert_eq!(refused(&no_loader), ImageError::MissingNote("LOADER"));
    let linux = no_loader.clone().note(elfnote::GUEST_OS, b"linux\0");
    assert!(parse(&linux).is_ok());
    let other = elf.note(elfnote::XEN_VERSION, b"xen-2.0\0");
    assert_eq!(
        refused(&other).to_string(),
        "note XEN_VERSION is \"xen-2.0\", not \"xen-3.0\""
    );
}

#[test]
fn an_unknown_required_feature_is_refused() {
    let elf = TestElf::default().note(elfnote::FEATURES, b"a|!warp_drive\0");
    assert_eq!(
        refused(&elf),
        ImageError::UnknownFeature("warp_drive".into())
    );
}

#[test]
fn segments_out_of_range_or_overlapping_are_refused() {
    let elf = TestElf::default();
    // Past the top of the address space; into the hypervisor's slots; below PADDR_OFFSET.
    for bad in [
        elf.clone().load(0x8000_0000, 0x1000),
        elf.clone().load(u64::MAX - 8, 0x1000),
        elf.clone().load(0x30_0000, u64::MAX),
        elf.clone()
            .note(elfnote::PADDR_OFFSET, &0x30_0000_u64.to_le_bytes()),
        elf.clone()
            .note(elfnote::VIRT_BASE, &0xffff_8000_0000_0000_u64.to_le_bytes()),
        elf.clone()
            .note(elfnote::VIRT_BASE, &0x7fff_ffff_0000_u64.to_le_bytes()),
    ] {
        let e = refused(&bad);
        assert!(matches!(e, ImageError::SegmentOutOfRange { .. }), "{e}");
    }
    let overlap = refused(&elf.clone().load(0x20_1fff, 0x1000));
    assert_eq!(
        overlap.to_string(),
        "segments overlap: 0x200000..0x202000 and 0x201fff..0x202fff"
    );
    let fat = refused(&elf.load(0x30_0000, 3));
    assert!(
        matches!(fat, ImageError::FileLargerThanMemory { index: 2, .. }),
        "{fat}"
    );
}

#[test]
fn addresses_must_lie_in_the_image() {
    let elf = TestElf {
        entry: 0x1000,
        ..TestElf::default()
    };
    assert!(matches!(
        refused(&elf),
        ImageError::Outside {
            what: "entry point",
            ..
        }
    ));
    let cut_page = (BASE + 0x20_1001).to_le_bytes();
    let elf = TestElf::default().note(elfnote::HYPERCALL_PAGE, &cut_page);
    assert!(matches!(
        refused(&elf),
        ImageError::Outside {
            what: "hypercall page",
            ..
        }
    ));
    let elf = TestElf::default().note(elfnote::INIT_P2M, &0x1001_u64.to_le_bytes());
    assert!(matches!(
        refused(&elf),
        ImageError::BadNote {
            note: "INIT_P2M",
            ..
        }
    ));
}

#[test]
fn other_files_are_named() {
    assert_eq!(
        Image::parse(Vec::new()).expect_err("empty"),
        ImageError::Empty
    );
    let text = Image::parse(b"#!/bin/sh".to_vec()).expect_err("text");
    assert_eq!(
        text.to_string(),
        "not an ELF file: it begins with 23 21 2f 62"
    );
    let gzip = Image::parse(b"\x1f\x8b\x08\0".to_vec()).expect_err("gzip");
    assert!(gzip.to_string().ends_with("(gzip: unpack it first)"));
    let mut elf32 = TestElf::default().write();
    elf32[4] = 1;
    assert_eq!(
        Image::parse(elf32).expect_err("32-bit"),
        ImageError::Not64Bit
    );
    let mut arm = TestElf::default().write();
    arm[18] = 183;
    assert!(matches!(
        Image::parse(arm),
        Err(ImageError::WrongMachine(_))
    ));
}

#[test]
fn no_prefix_of_a_kernel_is_a_kernel() {
    let whole = TestElf::default().load(0x30_0000, 0x10).write();
    for len in (0..whole.len()).filter(|len| *len < 700 || len % 97 == 0) {
        let e = Image::parse(whole[..len].to_vec()).expect_err("cut");
        assert!(!e.to_string().contains('\n'));
        if len >= 64 {
            assert!(matches!(e, ImageError::Truncated { .. }), "{len}: {e}");
        }
    }
}

#[test]
fn no_single_byte_change_panics() {
    let whole = TestElf::default().note(elfnote::FEATURES, b"a\0").write();
    for at in 0..whole.len().min(600) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = Image::parse(bytes);
        }
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let e = Image::open(Path::new("/nonexistent/kernel")).expect_err("absent");
    assert_eq!(e.to_string(), "cannot read kernel /nonexistent/kernel");
    assert!(Image::open(Path::new("/dev/zero")).is_err());
}
