//! lzop's file format, which Linux's build makes for LZO: a header, then blocks with their sizes,
//! until one of size 0. All numbers are big-endian. The checksums lzop adds are skipped: the
//! kernel's length and its ELF header are checked anyway.

use std::io;

/// The magic number's size.
const MAGIC: usize = 9;
/// Versions, method and level, in 16, 16, 16, 8 and 8 bits.
const VERSIONS: usize = 8;
/// Mode, modification time (twice 32 bits).
const FILE: usize = 12;
/// Flag: the file carries a filter's number.
const FILTER: u32 = 0x800;
/// Flags: blocks carry an Adler-32 or a CRC-32 of the unpacked bytes.
const UNPACKED_SUMS: [u32; 2] = [0x1, 0x100];
/// Flags: blocks carry an Adler-32 or a CRC-32 of the packed bytes.
const PACKED_SUMS: [u32; 2] = [0x2, 0x200];
/// The most a block unpacks to: lzop's own limit, 64 MiB.
const BLOCK: usize = 64 << 20;

/// Unpacks the file in `body`, stopping at `most` bytes.
pub(super) fn decode(mut body: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let body = &mut body;
    let flags = header(body)?;
    let mut out = Vec::new();
    while (out.len() as u64) < most {
        let len = word(body)? as usize;
        if len == 0 {
            break;
        }
        block(body, flags, len, &mut out)?;
    }
    out.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(out)
}

/// Skips the header; returns its flags.
fn header(body: &mut &[u8]) -> io::Result<u32> {
    take(body, MAGIC + VERSIONS)?;
    let flags = word(body)?;
    if flags & FILTER != 0 {
        return Err(io::Error::other("lzop filters are not supported"));
    }
    take(body, FILE)?;
    let name = take(body, 1)?;
    take(body, usize::from(name[0]))?;
    word(body)?;
    Ok(flags)
}

fn block(body: &mut &[u8], flags: u32, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let packed = word(body)? as usize;
    if len > BLOCK || packed > len {
        return Err(io::Error::other(format!(
            "a block of {packed} for {len} bytes"
        )));
    }
    skip_sums(body, flags, &UNPACKED_SUMS)?;
    if packed == len {
        out.extend_from_slice(take(body, len)?);
        return Ok(());
    }
    skip_sums(body, flags, &PACKED_SUMS)?;
    let start = out.len();
    out.resize(start + len, 0);
    let got = lzokay::decompress::decompress(take(body, packed)?, &mut out[start..])
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    if got != len {
        return Err(io::Error::other(format!(
            "a block of {len} bytes gave {got}"
        )));
    }
    Ok(())
}

fn skip_sums(body: &mut &[u8], flags: u32, sums: &[u32]) -> io::Result<()> {
    let count = sums.iter().filter(|sum| flags & **sum != 0).count();
    take(body, 4 * count).map(|_| ())
}

fn word(body: &mut &[u8]) -> io::Result<u32> {
    let bytes = take(body, 4)?;
    Ok(bytes
        .iter()
        .fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

/// Takes `len` bytes off the front.
pub(super) fn take<'a>(body: &mut &'a [u8], len: usize) -> io::Result<&'a [u8]> {
    body.split_off(..len)
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
