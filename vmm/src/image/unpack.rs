//! A Linux boot image's payload: compressed bytes → the ELF file inside.
//!
//! Owns which compressions there are and how they end. Comes in: a payload as the boot header
//! delimits it, possibly hostile. Goes out: exactly as many bytes as the payload says it holds,
//! or one line of [`UnpackError`].
//!
//! Linux appends the unpacked length, four bytes little-endian, to every payload; gzip's own
//! format already ends in it. Decoders choke on what is not theirs, so it is cut off first and
//! held against what comes out.

mod lz4;
mod lzop;

use std::io::{self, Read};
use thiserror::Error;

/// The most a payload may unpack to: 1 GiB, twenty times a distribution's kernel.
pub const MAX_UNPACKED: u64 = 1 << 30;
/// The most memory a decoder's dictionary may take: 256 MiB in KiB, twice what Linux asks for.
const MAX_DICTIONARY_KIB: u32 = 256 << 10;
/// The length trailer's size.
const TRAILER: usize = 4;

/// Why a payload does not unpack.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnpackError {
    /// Nothing this knows.
    #[error("the bzImage's payload begins with {0}: no compression that is known")]
    Unknown(String),
    /// Not even a magic number and a length.
    #[error("the bzImage's payload is truncated: {0} bytes")]
    Short(usize),
    /// A bomb, or damage.
    #[error(
        "the bzImage's {compression} payload says it unpacks to {bytes} bytes, more than 1 GiB"
    )]
    TooLarge {
        /// Its compression.
        compression: &'static str,
        /// What it says.
        bytes: u64,
    },
    /// The decoder gave up.
    #[error("the bzImage's {compression} payload is damaged or truncated: {why}")]
    Damaged {
        /// Its compression.
        compression: &'static str,
        /// What the decoder said.
        why: String,
    },
    /// The trailer does not fit.
    #[error("the bzImage's {compression} payload says it unpacks to {said} bytes, not to {found}")]
    Length {
        /// Its compression.
        compression: &'static str,
        /// What the trailer says.
        said: u64,
        /// How many bytes came out, at most one more than it says.
        found: u64,
    },
}

/// One way to compress: its name, its magic number and what reads it.
struct Codec {
    name: &'static str,
    magic: &'static [u8],
    decode: fn(&[u8], u64) -> io::Result<Vec<u8>>,
}

/// THE table of compressions. A decoder returns at most as many bytes as it is told.
const CODECS: [Codec; 7] = [
    Codec {
        name: "gzip",
        magic: b"\x1f\x8b",
        decode: |body, most| read(flate2::bufread::GzDecoder::new(body), most),
    },
    Codec {
        name: "bzip2",
        magic: b"BZh",
        decode: |body, most| read(bzip2::bufread::BzDecoder::new(body), most),
    },
    Codec {
        name: "xz",
        magic: b"\xfd7zXZ\0",
        decode: |body, most| {
            let xz = lzma_rust2::XzReader::new_mem_limit(body, false, MAX_DICTIONARY_KIB);
            read(xz, most)
        },
    },
    Codec {
        name: "lzma",
        magic: b"\x5d\0\0",
        decode: |body, most| {
            let lzma = lzma_rust2::LzmaReader::new_mem_limit(body, MAX_DICTIONARY_KIB, None)?;
            read(lzma, most)
        },
    },
    Codec {
        name: "lzo",
        magic: b"\x89LZO",
        decode: lzop::decode,
    },
    Codec {
        name: "lz4",
        magic: &lz4::MAGIC,
        decode: lz4::decode,
    },
    Codec {
        name: "zstd",
        magic: b"\x28\xb5\x2f\xfd",
        decode: |body, most| {
            let zstd = ruzstd::decoding::StreamingDecoder::new(body).map_err(io::Error::other)?;
            read(zstd, most)
        },
    },
];

fn read(decoder: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(most).read_to_end(&mut out)?;
    Ok(out)
}

/// Unpacks a payload.
///
/// # Errors
/// If its compression is unknown, it is damaged, or it is not as long as it says.
pub(super) fn unpack(payload: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let codec = CODECS
        .iter()
        .find(|codec| payload.starts_with(codec.magic))
        .ok_or_else(|| UnpackError::Unknown(beginning(payload)))?;
    let compression = codec.name;
    let (body, trailer) = payload
        .split_last_chunk::<TRAILER>()
        .ok_or(UnpackError::Short(payload.len()))?;
    let said = u64::from(u32::from_le_bytes(*trailer));
    if said > MAX_UNPACKED {
        return Err(UnpackError::TooLarge {
            compression,
            bytes: said,
        });
    }
    let body = if compression == "gzip" { payload } else { body };
    let out = (codec.decode)(body, said + 1).map_err(|error| UnpackError::Damaged {
        compression,
        why: error.to_string(),
    })?;
    let found = out.len() as u64;
    if found == said {
        Ok(out)
    } else {
        Err(UnpackError::Length {
            compression,
            said,
            found,
        })
    }
}

fn beginning(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().take(6).map(|b| format!("{b:02x}")).collect();
    hex.join(" ")
}

#[cfg(test)]
mod tests;
