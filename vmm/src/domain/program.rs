//! The kernel as the builder sees it: where its bytes go and what it asks of the builder.

use crate::image::Image;
use hypercalls::{PAGE_SIZE, Vaddr};

/// Frames in a MiB.
pub const PAGES_PER_MIB: u64 = (1 << 20) / PAGE_SIZE;

/// A piece of the kernel: `data` at pseudo-physical address `paddr`, zeroes up to `size`.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Pseudo-physical address in bytes.
    pub paddr: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Bytes of the file.
    pub data: &'a [u8],
}

/// What is to be loaded.
#[derive(Clone, Debug, Default)]
pub struct Program<'a> {
    /// The first instruction.
    pub entry: Vaddr,
    /// The virtual address of pseudo-physical address 0.
    pub virt_base: Vaddr,
    /// Its pieces in order of `paddr`; none for a domain whose kernel is not in its memory.
    pub pieces: Vec<Piece<'a>>,
    /// Where the p2m list is to be mapped, instead of after the initrd.
    pub init_p2m: Option<Vaddr>,
    /// The initrd may be left unmapped and named by its pfn.
    pub unmapped_initrd: bool,
    /// The page to be filled with hypercall stubs.
    pub hypercall_page: Option<Vaddr>,
}

impl Program<'_> {
    /// No kernel at all: memory, page tables and a vCPU, for a kernel that runs elsewhere.
    #[must_use]
    pub fn none() -> Program<'static> {
        Program {
            virt_base: Vaddr(0xffff_ffff_8000_0000),
            entry: Vaddr(0xffff_ffff_8000_0000),
            ..Program::default()
        }
    }
}

impl<'a> From<&'a Image> for Program<'a> {
    fn from(image: &'a Image) -> Program<'a> {
        let pieces = image.segments.iter().map(|s| Piece {
            paddr: s.paddr,
            size: s.mem_size,
            data: image.data(s),
        });
        Program {
            entry: image.entry,
            virt_base: image.virt_base,
            pieces: pieces.collect(),
            init_p2m: image.notes.init_p2m,
            unmapped_initrd: image.notes.mod_start_pfn,
            hypercall_page: image.notes.hypercall_page,
        }
    }
}
