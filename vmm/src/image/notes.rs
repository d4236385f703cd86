//! Xen's notes: from PT_NOTE segments, else SHT_NOTE sections, else the legacy `__xen_guest`
//! string. Comes in: an ELF file. Goes out: [`Notes`], with the mandatory ones checked.

use super::{Features, ImageError, legacy};
use hypercalls::{Vaddr, elfnote};
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, Note, NoteIterator, ProgramHeader, SectionHeader};
use object::{LittleEndian, elf};

type Elf = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Where the notes were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoteSource {
    /// PT_NOTE segments.
    #[default]
    Segment,
    /// SHT_NOTE sections.
    Section,
    /// The `__xen_guest` section's string.
    Legacy,
}

/// What a kernel says about itself. Absent notes are `None`, empty or false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Where they were found.
    pub source: NoteSource,
    /// ENTRY.
    pub entry: Option<Vaddr>,
    /// VIRT_BASE.
    pub virt_base: Option<Vaddr>,
    /// PADDR_OFFSET.
    pub paddr_offset: Option<u64>,
    /// HYPERCALL_PAGE: the page the builder fills with stubs.
    pub hypercall_page: Option<Vaddr>,
    /// INIT_P2M: where the p2m list is to be mapped, instead of after the initrd.
    pub init_p2m: Option<Vaddr>,
    /// MOD_START_PFN: the initrd may be left unmapped and named by its pfn.
    pub mod_start_pfn: bool,
    /// FEATURES and SUPPORTED_FEATURES together.
    pub features: Features,
    /// XEN_VERSION.
    pub xen_version: String,
    /// LOADER.
    pub loader: String,
    /// GUEST_OS.
    pub guest_os: String,
    /// GUEST_VERSION.
    pub guest_version: String,
}

impl Notes {
    /// Finds and checks a file's notes.
    ///
    /// # Errors
    /// If there are none, a mandatory one is missing or another says something impossible.
    pub(super) fn find(header: &Elf, bytes: &[u8]) -> Result<Notes, ImageError> {
        let found = match from_segments(header, bytes)? {
            Some(notes) => Some(notes),
            None => match from_sections(header, bytes)? {
                Some(notes) => Some(notes),
                None => legacy::find(header, bytes)?,
            },
        };
        let notes = found.ok_or(ImageError::NoNotes)?;
        notes.check()?;
        Ok(notes)
    }

    fn check(&self) -> Result<(), ImageError> {
        begins("XEN_VERSION", &self.xen_version, "xen-3.0")?;
        if self.guest_os.starts_with("linux") {
            return Ok(());
        }
        begins("LOADER", &self.loader, "generic")
    }

    fn add(&mut self, note: &Note<'_, Elf>) -> Result<(), ImageError> {
        let desc = note.desc();
        match note.n_type(LE).0 {
            elfnote::ENTRY => self.entry = Some(Vaddr(number("ENTRY", desc)?)),
            elfnote::VIRT_BASE => self.virt_base = Some(Vaddr(number("VIRT_BASE", desc)?)),
            elfnote::PADDR_OFFSET => self.paddr_offset = Some(number("PADDR_OFFSET", desc)?),
            elfnote::HYPERCALL_PAGE => {
                self.hypercall_page = Some(Vaddr(number("HYPERCALL_PAGE", desc)?));
            }
            elfnote::INIT_P2M => self.init_p2m = Some(Vaddr(number("INIT_P2M", desc)?)),
            elfnote::MOD_START_PFN => self.mod_start_pfn = number("MOD_START_PFN", desc)? != 0,
            elfnote::FEATURES => self.features.add_list(&text("FEATURES", desc)?)?,
            elfnote::SUPPORTED_FEATURES => {
                self.features.supported |= number("SUPPORTED_FEATURES", desc)? as u32;
            }
            elfnote::XEN_VERSION => self.xen_version = text("XEN_VERSION", desc)?,
            elfnote::LOADER => self.loader = text("LOADER", desc)?,
            elfnote::GUEST_OS => self.guest_os = text("GUEST_OS", desc)?,
            elfnote::GUEST_VERSION => self.guest_version = text("GUEST_VERSION", desc)?,
            _ => {}
        }
        Ok(())
    }

    fn add_all(&mut self, mut notes: NoteIterator<'_, Elf>) -> Result<bool, ImageError> {
        let mut any = false;
        while let Some(note) = notes.next().map_err(malformed)? {
            if note.name() == elfnote::NAME {
                self.add(&note)?;
                any = true;
            }
        }
        Ok(any)
    }
}

fn from_segments(header: &Elf, bytes: &[u8]) -> Result<Option<Notes>, ImageError> {
    let mut notes = Notes::default();
    let mut any = false;
    for segment in header.program_headers(LE, bytes).map_err(malformed)? {
        // Some binutils leave a note segment's offset 0, which is the file header's.
        if segment.p_offset(LE) == 0 {
            continue;
        }
        if let Some(found) = segment.notes(LE, bytes).map_err(malformed)? {
            any |= notes.add_all(found)?;
        }
    }
    Ok(any.then_some(notes))
}

fn from_sections(header: &Elf, bytes: &[u8]) -> Result<Option<Notes>, ImageError> {
    let mut notes = Notes {
        source: NoteSource::Section,
        ..Notes::default()
    };
    let mut any = false;
    for section in header.section_headers(LE, bytes).map_err(malformed)? {
        if section.sh_type(LE) != elf::SHT_NOTE {
            continue;
        }
        if let Some(found) = section.notes(LE, bytes).map_err(malformed)? {
            any |= notes.add_all(found)?;
        }
    }
    Ok(any.then_some(notes))
}

pub(super) fn malformed(e: object::read::Error) -> ImageError {
    ImageError::Malformed(e.to_string())
}

fn begins(note: &'static str, value: &str, wanted: &'static str) -> Result<(), ImageError> {
    match value {
        "" => Err(ImageError::MissingNote(note)),
        v if v.starts_with(wanted) => Ok(()),
        v => Err(ImageError::WrongNote {
            note,
            value: v.to_owned(),
            wanted,
        }),
    }
}

fn number(note: &'static str, desc: &[u8]) -> Result<u64, ImageError> {
    let mut wide = [0; 8];
    match desc.len() {
        // MOD_START_PFN and SUPPORTED_FEATURES may be 4 bytes; the addresses are 8.
        len @ (1 | 2 | 4 | 8) => {
            wide[..len].copy_from_slice(desc);
            Ok(u64::from_le_bytes(wide))
        }
        len => Err(ImageError::BadNote {
            note,
            why: format!("{len} bytes are no number"),
        }),
    }
}

fn text(note: &'static str, desc: &[u8]) -> Result<String, ImageError> {
    let end = desc.iter().position(|&b| b == 0).unwrap_or(desc.len());
    match std::str::from_utf8(&desc[..end]) {
        Ok(text) => Ok(text.to_owned()),
        Err(e) => Err(ImageError::BadNote {
            note,
            why: e.to_string(),
        }),
    }
}
