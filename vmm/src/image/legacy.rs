//! The `__xen_guest` section: what kernels had before notes, one string of `NAME=value` parts
//! with commas between.

use super::notes::malformed;
use super::{ImageError, NoteSource, Notes};
use hypercalls::{PAGE_SHIFT, Vaddr};
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};

const LE: LittleEndian = LittleEndian;

/// Finds the section and reads its string.
pub(super) fn find(
    header: &FileHeader64<LittleEndian>,
    bytes: &[u8],
) -> Result<Option<Notes>, ImageError> {
    let sections = header.sections(LE, bytes).map_err(malformed)?;
    let Some((_, section)) = sections.section_by_name(LE, b"__xen_guest") else {
        return Ok(None);
    };
    let data = section.data(LE, bytes).map_err(malformed)?;
    let end = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    let text = String::from_utf8_lossy(&data[..end]);
    parse(&text).map(Some)
}

fn parse(text: &str) -> Result<Notes, ImageError> {
    let mut notes = Notes {
        source: NoteSource::Legacy,
        ..Notes::default()
    };
    let mut stub_page = None;
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "LOADER" => notes.loader = value.to_owned(),
            "GUEST_OS" => notes.guest_os = value.to_owned(),
            "GUEST_VER" => notes.guest_version = value.to_owned(),
            "XEN_VER" => notes.xen_version = value.to_owned(),
            "VIRT_BASE" => notes.virt_base = Some(Vaddr(number("VIRT_BASE", value)?)),
            "VIRT_ENTRY" => notes.entry = Some(Vaddr(number("VIRT_ENTRY", value)?)),
            "ELF_PADDR_OFFSET" => {
                notes.paddr_offset = Some(number("ELF_PADDR_OFFSET", value)?);
            }
            "HYPERCALL_PAGE" => stub_page = Some(number("HYPERCALL_PAGE", value)?),
            "FEATURES" => notes.features.add_list(value)?,
            _ => {}
        }
    }
    // A page number counted from VIRT_BASE, unlike the note's address.
    let base = notes.virt_base.unwrap_or_default();
    notes.hypercall_page = stub_page.map(|page| base.add(page << PAGE_SHIFT));
    // Kernels of that age put virtual addresses in p_paddr.
    notes.paddr_offset = notes.paddr_offset.or(Some(base.0));
    Ok(notes)
}

fn number(note: &'static str, value: &str) -> Result<u64, ImageError> {
    let parsed = match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => value.parse(),
    };
    parsed.map_err(|e| ImageError::BadNote {
        note,
        why: format!("{value:?}: {e}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_of_an_old_kernel() {
        let notes = parse(
            "GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,\
             HYPERCALL_PAGE=0x104,FEATURES=pae_pgdir_above_4gb,PAE=yes,LOADER=generic,BSD_SYMTAB",
        )
        .expect("well-formed");
        assert_eq!(notes.hypercall_page, Some(Vaddr(0xc010_4000)));
        assert_eq!(notes.paddr_offset, Some(0xc000_0000));
        assert_eq!(notes.guest_version, "2.6");
        assert_eq!(notes.features.supported, 1 << 4);
        assert_eq!(notes.source, NoteSource::Legacy);
    }

    #[test]
    fn numbers_are_numbers() {
        assert!(matches!(
            parse("VIRT_BASE=0xzz"),
            Err(ImageError::BadNote {
                note: "VIRT_BASE",
                ..
            })
        ));
        assert_eq!(
            parse("VIRT_ENTRY=16").expect("decimal").entry,
            Some(Vaddr(16))
        );
    }
}
