//! A writer of small ELF files: PV kernels, and files that are almost PV kernels.

use crate::asm::Asm;
use hypercalls::elfnote;

const EHDR: usize = 64;
const PHDR: usize = 56;
/// Where the default kernel is loaded, and its virtual base.
pub const BASE: u64 = 0xffff_ffff_8000_0000;
/// Its pseudo-physical address.
pub const PADDR: u64 = 0x10_0000;

/// A loadable segment.
#[derive(Clone, Debug)]
pub struct Load {
    /// Pseudo-physical address.
    pub paddr: u64,
    /// Bytes in the file.
    pub data: Vec<u8>,
    /// Bytes in memory.
    pub mem_size: u64,
}

/// An ELF file to be written; every field may be wrong.
#[derive(Clone, Debug)]
pub struct Elf {
    /// 2 for 64-bit.
    pub class: u8,
    /// 62 for x86-64.
    pub machine: u16,
    /// Entry point.
    pub entry: u64,
    /// Segments.
    pub loads: Vec<Load>,
    /// Xen notes: type and contents.
    pub notes: Vec<(u32, Vec<u8>)>,
}

impl Elf {
    /// A kernel of the code that `write` writes, entered at its beginning.
    pub fn kernel(write: impl FnOnce(&mut Asm)) -> Elf {
        let mut asm = Asm::new(BASE + PADDR);
        write(&mut asm);
        let data = asm.finish();
        Elf {
            class: 2,
            machine: 62,
            entry: BASE + PADDR,
            loads: vec![Load {
                paddr: PADDR,
                data,
                mem_size: 0x4000,
            }],
            notes: vec![
                (elfnote::XEN_VERSION, b"xen-3.0\0".to_vec()),
                (elfnote::LOADER, b"generic\0".to_vec()),
                (elfnote::VIRT_BASE, BASE.to_le_bytes().to_vec()),
            ],
        }
    }

    /// With the first segment changed.
    pub fn load(mut self, change: impl FnOnce(&mut Load)) -> Elf {
        change(&mut self.loads[0]);
        self
    }

    /// With one more note, or another in the place of one of its type.
    pub fn note(mut self, kind: u32, contents: &[u8]) -> Elf {
        self.notes.retain(|(other, _)| *other != kind);
        self.notes.push((kind, contents.to_vec()));
        self
    }

    /// Without the notes of that type.
    pub fn without(mut self, kind: u32) -> Elf {
        self.notes.retain(|(other, _)| *other != kind);
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let notes = self.note_bytes();
        let headers = EHDR + PHDR * (self.loads.len() + 1);
        let mut at = headers as u64;
        let mut file = self.header();
        for load in &self.loads {
            let size = load.data.len() as u64;
            file.extend(segment(1, at, load.paddr, size, load.mem_size));
            at += size;
        }
        file.extend(segment(4, at, 0, notes.len() as u64, notes.len() as u64));
        for load in &self.loads {
            file.extend(&load.data);
        }
        file.extend(notes);
        file
    }

    fn header(&self) -> Vec<u8> {
        let mut h = vec![0x7f, b'E', b'L', b'F', self.class, 1, 1];
        h.resize(16, 0);
        h.extend(2u16.to_le_bytes());
        h.extend(self.machine.to_le_bytes());
        h.extend(1u32.to_le_bytes());
        for word in [self.entry, EHDR as u64, 0] {
            h.extend(word.to_le_bytes());
        }
        h.extend(0u32.to_le_bytes());
        for half in [EHDR, PHDR, self.loads.len() + 1, 64, 0, 0] {
            h.extend((half as u16).to_le_bytes());
        }
        h
    }

    fn note_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, contents) in &self.notes {
            for word in [4, contents.len() as u32, *kind] {
                out.extend(word.to_le_bytes());
            }
            out.extend(b"Xen\0");
            out.extend(contents);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }
}

/// A program header; everything readable, writable and executable.
fn segment(kind: u32, offset: u64, paddr: u64, file_size: u64, mem_size: u64) -> Vec<u8> {
    let mut h = Vec::from(kind.to_le_bytes());
    h.extend(7u32.to_le_bytes());
    let vaddr = BASE.wrapping_add(paddr);
    for word in [offset, vaddr, paddr, file_size, mem_size, 1] {
        h.extend(word.to_le_bytes());
    }
    h
}
