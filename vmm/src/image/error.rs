//! Why a file is no kernel: one line each, with the values.

use super::UnpackError;
use hypercalls::Vaddr;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A kernel file that could not be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The host did not give its bytes.
    #[error("cannot read kernel {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its bytes are no kernel.
    #[error("cannot use kernel {}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImageError,
    },
}

/// Bytes that are no 64-bit Xen PV kernel.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Another format.
    #[error("not an ELF file: it begins with {0}")]
    NotElf(String),
    /// A Linux boot image whose kernel cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A Linux boot image that names no payload.
    #[error("a bzImage of boot protocol {major}.{minor}: payloads are named from 2.8 on")]
    OldBzImage {
        /// Boot protocol, major.
        major: u8,
        /// Boot protocol, minor.
        minor: u8,
    },
    /// An ELF file for a 32-bit machine.
    #[error("a 32-bit ELF file: only 64-bit kernels run")]
    Not64Bit,
    /// An ELF file of another machine.
    #[error("an ELF file for another machine: {0}")]
    WrongMachine(String),
    /// Ends before something it promises.
    #[error("truncated: {what} needs bytes {start:#x}..{end:#x}, the file has {len:#x}")]
    Truncated {
        /// What is cut.
        what: String,
        /// First byte needed.
        start: u64,
        /// After the last byte needed.
        end: u64,
        /// The file's length.
        len: u64,
    },
    /// A header that contradicts itself.
    #[error("malformed ELF file: {0}")]
    Malformed(String),
    /// Nothing to load.
    #[error("no loadable segment")]
    NoSegments,
    /// More bytes in the file than in memory.
    #[error("segment {index}: {file:#x} bytes in the file, only {mem:#x} in memory")]
    FileLargerThanMemory {
        /// Program header number.
        index: usize,
        /// `p_filesz`.
        file: u64,
        /// `p_memsz`.
        mem: u64,
    },
    /// Not where a kernel can be.
    #[error(
        "segment {index} is out of range: p_paddr {paddr:#x}, size {size:#x}, PADDR_OFFSET \
         {paddr_offset:#x}, VIRT_BASE {virt_base}"
    )]
    SegmentOutOfRange {
        /// Program header number.
        index: usize,
        /// `p_paddr`.
        paddr: u64,
        /// `p_memsz`.
        size: u64,
        /// PADDR_OFFSET.
        paddr_offset: u64,
        /// VIRT_BASE.
        virt_base: Vaddr,
    },
    /// Two segments at one address.
    #[error(
        "segments overlap: {first_start:#x}..{first_end:#x} and {second_start:#x}..{second_end:#x}"
    )]
    Overlap {
        /// Lower segment's first address.
        first_start: u64,
        /// After its last address.
        first_end: u64,
        /// Higher segment's first address.
        second_start: u64,
        /// After its last address.
        second_end: u64,
    },
    /// No Xen notes at all.
    #[error("no Xen notes: not a Xen PV kernel")]
    NoNotes,
    /// A mandatory note is missing.
    #[error("no {0} note: not a Xen PV kernel")]
    MissingNote(&'static str),
    /// A mandatory note says something else.
    #[error("note {note} is {value:?}, not {wanted:?}")]
    WrongNote {
        /// The note.
        note: &'static str,
        /// What it says.
        value: String,
        /// What it must begin with.
        wanted: &'static str,
    },
    /// A note that cannot be read.
    #[error("note {note} is malformed: {why}")]
    BadNote {
        /// The note.
        note: &'static str,
        /// Why.
        why: String,
    },
    /// A feature the kernel cannot do without and nobody knows.
    #[error("the kernel requires the unknown feature {0:?}")]
    UnknownFeature(String),
    /// An address that must be in the image and is not.
    #[error("{what} {at} is outside the image {start}..{end}")]
    Outside {
        /// What it is.
        what: &'static str,
        /// The address.
        at: Vaddr,
        /// The image's first address.
        start: Vaddr,
        /// After its last.
        end: Vaddr,
    },
}
