//! The ELF file: its segments, at the addresses that its notes give them.

use super::notes::malformed;
use super::{Image, ImageError, Notes, Segment};
use hypercalls::{Level, PAGE_SIZE, Vaddr};
use object::LittleEndian;
use object::elf::{EM_X86_64, FileHeader64, PF_R, PF_W, PF_X, PT_LOAD, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use std::ops::Range;

const LE: LittleEndian = LittleEndian;
type Elf = FileHeader64<LittleEndian>;

/// `e_ident[EI_CLASS]`.
const CLASS_AT: usize = 4;
const CLASS_32: u8 = 1;

/// L4 slots that belong to the hypervisor.
const HOLE: Range<usize> = 256..272;

/// Understands an ELF file.
pub(super) fn image(bytes: Vec<u8>) -> Result<Image, ImageError> {
    let header = header(&bytes)?;
    check_program_headers(header, &bytes)?;
    let notes = Notes::find(header, &bytes)?;
    let virt_base = notes.virt_base.unwrap_or_default();
    let paddr_offset = notes.paddr_offset.unwrap_or(0);
    let place = Place {
        virt_base,
        paddr_offset,
    };
    let segments = segments(header, &bytes, place)?;
    let entry = notes.entry.unwrap_or(Vaddr(header.e_entry.get(LE)));
    let image = Image {
        entry,
        virt_base,
        paddr_offset,
        segments,
        notes,
        bytes,
    };
    check_addresses(&image)?;
    Ok(image)
}

fn header(bytes: &[u8]) -> Result<&Elf, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(ImageError::NotElf(beginning(bytes)));
    }
    if bytes.get(CLASS_AT) == Some(&CLASS_32) {
        return Err(ImageError::Not64Bit);
    }
    fits("the ELF header", 0, size_of::<Elf>() as u64, bytes)?;
    let header = Elf::parse(bytes).map_err(malformed)?;
    if header.is_big_endian() {
        return Err(ImageError::WrongMachine("big-endian".to_owned()));
    }
    match header.e_machine(LE) {
        EM_X86_64 => Ok(header),
        other => Err(ImageError::WrongMachine(format!("e_machine {}", other.0))),
    }
}

/// A section's address and bytes, if the file has it and it lies in the file.
pub(super) fn section<'a>(bytes: &'a [u8], name: &str) -> Option<(u64, &'a [u8])> {
    let sections = header(bytes).ok()?.sections(LE, bytes).ok()?;
    let (_, section) = sections.section_by_name(LE, name.as_bytes())?;
    Some((section.sh_addr.get(LE), section.data(LE, bytes).ok()?))
}

fn beginning(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let gzip = bytes.starts_with(b"\x1f\x8b");
    let hint = if gzip { " (gzip: unpack it first)" } else { "" };
    format!("{}{hint}", shown.join(" "))
}

fn fits(what: &str, start: u64, size: u64, bytes: &[u8]) -> Result<(), ImageError> {
    let len = bytes.len() as u64;
    let end = start.saturating_add(size);
    if end <= len {
        return Ok(());
    }
    Err(ImageError::Truncated {
        what: what.to_owned(),
        start,
        end,
        len,
    })
}

fn check_program_headers(header: &Elf, bytes: &[u8]) -> Result<(), ImageError> {
    let count = u64::from(header.e_phnum.get(LE));
    let size = count * u64::from(header.e_phentsize.get(LE));
    fits(
        "the program header table",
        header.e_phoff.get(LE),
        size,
        bytes,
    )?;
    for (index, segment) in program_headers(header, bytes)?.iter().enumerate() {
        let what = format!("segment {index}");
        let (start, size) = segment.file_range(LE);
        fits(&what, start, size, bytes)?;
    }
    Ok(())
}

fn program_headers<'a>(
    header: &Elf,
    bytes: &'a [u8],
) -> Result<&'a [ProgramHeader64<LittleEndian>], ImageError> {
    header.program_headers(LE, bytes).map_err(malformed)
}

/// What turns a `p_paddr` into a pseudo-physical and a virtual address.
#[derive(Clone, Copy)]
struct Place {
    virt_base: Vaddr,
    paddr_offset: u64,
}

impl Place {
    fn segment(
        self,
        index: usize,
        h: &ProgramHeader64<LittleEndian>,
    ) -> Result<Segment, ImageError> {
        let (offset, file) = h.file_range(LE);
        let (paddr, mem) = (h.p_paddr(LE), h.p_memsz(LE));
        if file > mem {
            return Err(ImageError::FileLargerThanMemory { index, file, mem });
        }
        let at = self.address(paddr, mem);
        let (paddr, vaddr) = at.ok_or(ImageError::SegmentOutOfRange {
            index,
            paddr,
            size: mem,
            paddr_offset: self.paddr_offset,
            virt_base: self.virt_base,
        })?;
        Ok(Segment {
            paddr,
            vaddr,
            data: offset as usize..(offset + file) as usize,
            mem_size: mem,
        })
    }

    /// Pseudo-physical and virtual address, if all of it is where a guest kernel may be.
    fn address(self, p_paddr: u64, size: u64) -> Option<(u64, Vaddr)> {
        let paddr = p_paddr.checked_sub(self.paddr_offset)?;
        paddr.checked_add(size)?;
        let first = Vaddr(self.virt_base.0.checked_add(paddr)?);
        let last = Vaddr(first.0.checked_add(size - 1)?);
        let slots = first.slot(Level::L4)..=last.slot(Level::L4);
        let one_half = first.is_canonical() && last.is_canonical() && first.0 >> 63 == last.0 >> 63;
        let free = *slots.end() < HOLE.start || *slots.start() >= HOLE.end;
        (one_half && free).then_some((paddr, first))
    }
}

fn segments(header: &Elf, bytes: &[u8], place: Place) -> Result<Vec<Segment>, ImageError> {
    let mut segments = Vec::new();
    for (index, h) in program_headers(header, bytes)?.iter().enumerate() {
        let accessible = h.p_flags(LE).0 & (PF_R.0 | PF_W.0 | PF_X.0) != 0;
        if h.p_type(LE) == PT_LOAD && accessible && h.p_memsz(LE) > 0 {
            segments.push(place.segment(index, h)?);
        }
    }
    segments.sort_by_key(|s| s.paddr);
    if let Some(pair) = segments.windows(2).find(|p| p[0].paddr_end() > p[1].paddr) {
        return Err(ImageError::Overlap {
            first_start: pair[0].paddr,
            first_end: pair[0].paddr_end(),
            second_start: pair[1].paddr,
            second_end: pair[1].paddr_end(),
        });
    }
    if segments.is_empty() {
        return Err(ImageError::NoSegments);
    }
    Ok(segments)
}

fn check_addresses(image: &Image) -> Result<(), ImageError> {
    inside(image, "entry point", image.entry, 1)?;
    if let Some(page) = image.notes.hypercall_page {
        inside(image, "hypercall page", page, PAGE_SIZE)?;
    }
    for at in [image.notes.init_p2m].into_iter().flatten() {
        let slot = at.slot(Level::L4);
        if !at.is_canonical() || at.offset() != 0 || HOLE.contains(&slot) {
            let why = format!("{at} cannot be mapped");
            return Err(ImageError::BadNote {
                note: "INIT_P2M",
                why,
            });
        }
    }
    Ok(())
}

fn inside(image: &Image, what: &'static str, at: Vaddr, size: u64) -> Result<(), ImageError> {
    let start = image.virt_base.add(image.paddr_start());
    let end = image.virt_base.add(image.paddr_end());
    let (offset, len) = (
        at.0.wrapping_sub(start.0),
        image.paddr_end() - image.paddr_start(),
    );
    if offset < len && len - offset >= size {
        return Ok(());
    }
    Err(ImageError::Outside {
        what,
        at,
        start,
        end,
    })
}
