//! A writer of small ELF files, for this module's tests.

use hypercalls::elfnote;

const EHDR: usize = 64;
const PHDR: usize = 56;
const SHDR: usize = 64;

/// A PT_LOAD segment to be written.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) paddr: u64,
    pub(super) data: Vec<u8>,
    pub(super) mem_size: u64,
}

/// Where the notes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Segment,
    Section,
    Legacy,
    Nowhere,
}

/// What to write.
#[derive(Clone)]
pub(super) struct TestElf {
    pub(super) entry: u64,
    pub(super) loads: Vec<Load>,
    pub(super) notes: Vec<(u32, Vec<u8>)>,
    pub(super) legacy: &'static str,
    pub(super) place: Where,
}

impl Default for TestElf {
    /// A kernel at 2 MiB and -2 GiB, one page of text and one of bss.
    fn default() -> Self {
        let base = 0xffff_ffff_8000_0000_u64;
        TestElf {
            entry: base + 0x20_0000,
            loads: vec![Load {
                paddr: 0x20_0000,
                data: vec![0x90; 0x1000],
                mem_size: 0x2000,
            }],
            notes: vec![
                (elfnote::XEN_VERSION, b"xen-3.0\0".to_vec()),
                (elfnote::LOADER, b"generic\0".to_vec()),
                (elfnote::VIRT_BASE, base.to_le_bytes().to_vec()),
            ],
            legacy: "",
            place: Where::Segment,
        }
    }
}

impl TestElf {
    pub(super) fn note(mut self, kind: u32, desc: &[u8]) -> Self {
        self.notes.push((kind, desc.to_vec()));
        self
    }

    pub(super) fn without(mut self, kind: u32) -> Self {
        self.notes.retain(|(k, _)| *k != kind);
        self
    }

    pub(super) fn load(mut self, paddr: u64, mem_size: u64) -> Self {
        let data = vec![0xcc; 16];
        self.loads.push(Load {
            paddr,
            data,
            mem_size,
        });
        self
    }

    /// The file's bytes: header, program headers, section headers, contents.
    pub(super) fn write(&self) -> Vec<u8> {
        let notes = match self.place {
            Where::Legacy => self.legacy.as_bytes().to_vec(),
            Where::Nowhere => Vec::new(),
            _ => self.note_bytes(),
        };
        let segments = self.loads.len() + usize::from(self.place == Where::Segment);
        let sections_at = EHDR + segments * PHDR;
        let names_at = sections_at + 3 * SHDR;
        let names = b"\0__xen_guest\0";
        let notes_at = names_at + 16;
        let mut at = notes_at + notes.len();
        let mut out = self.header(segments, sections_at);
        if self.place == Where::Segment {
            out.extend(phdr(4, notes_at, 0, notes.len(), notes.len() as u64));
        }
        for load in &self.loads {
            out.extend(phdr(1, at, load.paddr, load.data.len(), load.mem_size));
            at += load.data.len();
        }
        let kind = if self.place == Where::Section { 7 } else { 1 };
        out.extend(shdr(0, 0, 0, 0));
        let name = u32::from(self.place == Where::Legacy);
        out.extend(shdr(name, kind, notes_at, notes.len()));
        out.extend(shdr(0, 3, names_at, names.len()));
        out.extend(names);
        out.resize(notes_at, 0);
        out.extend(notes);
        for load in &self.loads {
            out.extend(&load.data);
        }
        out
    }

    fn header(&self, segments: usize, sections_at: usize) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        out.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        out.extend(self.entry.to_le_bytes());
        out.extend((EHDR as u64).to_le_bytes());
        out.extend((sections_at as u64).to_le_bytes());
        out.extend([0; 4]);
        for half in [EHDR, PHDR, segments, SHDR, 3, 2] {
            out.extend((half as u16).to_le_bytes());
        }
        out
    }

    fn note_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, desc) in &self.notes {
            for word in [4, desc.len() as u32, *kind] {
                out.extend(word.to_le_bytes());
            }
            out.extend(b"Xen\0");
            out.extend(desc);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }
}

fn phdr(kind: u32, offset: usize, paddr: u64, file: usize, mem: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(kind.to_le_bytes());
    out.extend(7_u32.to_le_bytes());
    for word in [offset as u64, 0, paddr, file as u64, mem, 4] {
        out.extend(word.to_le_bytes());
    }
    out
}

fn shdr(name: u32, kind: u32, offset: usize, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(name.to_le_bytes());
    out.extend(kind.to_le_bytes());
    for word in [0, 0, offset as u64, size as u64, 0, 4, 0] {
        out.extend(word.to_le_bytes());
    }
    out
}
