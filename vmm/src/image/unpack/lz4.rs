//! LZ4's legacy frames, which Linux's build makes (`lz4 -l`): a magic number, then blocks, each
//! with its compressed size and unpacking to at most 8 MiB. No checksums, no end mark; another
//! magic number may stand where a block is expected.

use super::lzop::take;
use std::io;

/// What a legacy frame begins with: 0x184c2102, little-endian.
pub(super) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// The most a block unpacks to.
const BLOCK: usize = 8 << 20;

/// Unpacks the frames in `body`, stopping at `most` bytes.
pub(super) fn decode(mut body: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut block = vec![0; BLOCK];
    while !body.is_empty() && (out.len() as u64) < most {
        let word = take(&mut body, 4)?;
        if word == MAGIC {
            continue;
        }
        let size = word
            .iter()
            .rev()
            .fold(0, |size, byte| size << 8 | usize::from(*byte));
        let packed = take(&mut body, size)?;
        let len = lz4_flex::block::decompress_into(packed, &mut block).map_err(io::Error::other)?;
        out.extend_from_slice(&block[..len]);
    }
    out.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(out)
}
