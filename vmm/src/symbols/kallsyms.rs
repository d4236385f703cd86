//! The kernel's own symbol table, as it lies in its image: names packed by a table of 256 tokens,
//! in the order of their addresses.
//!
//! Nothing says where it is. The token index gives itself away (256 rising 16-bit numbers that
//! point behind each NUL of the tokens before them), so do the markers (where each 256th name
//! begins); the names lie before the markers, and how many there are before the names. All of it
//! is checked: what does not fit is no table.

use super::Symbols;
use super::layouts;
use crate::image::Image;
use std::ops::Range;

/// Tokens.
const TOKENS: usize = 256;
/// Names from one marker to the next.
const STRIDE: usize = 256;
/// The longest token, with its NUL.
const TOKEN_MAX: u16 = 128;
/// The most that lies between tables, for alignment.
const GAP: usize = 64;
/// Bytes of names from one marker to the next: each name has two or more, and at most 512.
const STRIDE_BYTES: Range<u32> = 512..STRIDE as u32 * 512;
/// The fewest markers of a table: 16384 symbols.
const MIN_MARKERS: usize = 64;
/// The most symbols believed in.
const MAX_SYMBOLS: usize = 4 << 20;

/// The tables, found and checked, but for the addresses.
pub(super) struct Tables<'a> {
    /// The segment they lie in, and where it is.
    pub(super) data: &'a [u8],
    pub(super) vaddr: u64,
    /// All of the kernel.
    pub(super) kernel: Range<u64>,
    /// Where the number of symbols is, and what it is.
    pub(super) count_at: usize,
    pub(super) count: usize,
    /// After the token index.
    pub(super) tokens_end: usize,
    names_at: usize,
    tokens: Vec<&'a [u8]>,
}

/// The symbols in the kernel's image, if it has a table that can be understood.
#[must_use]
pub fn find(image: &Image) -> Option<Symbols> {
    let start = image.segments.iter().map(|s| s.vaddr.0).min()?;
    let end = image
        .segments
        .iter()
        .map(|s| s.vaddr.0 + s.mem_size)
        .max()?;
    image.segments.iter().find_map(|segment| {
        let data = image.data(segment);
        in_segment(data, segment.vaddr.0, start..end)
    })
}

fn in_segment(data: &[u8], vaddr: u64, kernel: Range<u64>) -> Option<Symbols> {
    let markers = all_markers(data);
    let mut indices = (0..data.len()).step_by(4);
    indices.find_map(|at| {
        let tokens = tokens(data, at)?;
        let found = markers.iter().find_map(|m| names(data, m))?;
        let (names_at, count_at, count) = found;
        let tables = Tables {
            data,
            vaddr,
            kernel: kernel.clone(),
            count_at,
            count,
            tokens_end: at + 2 * TOKENS,
            names_at,
            tokens,
        };
        symbols(&tables)
    })
}

/// The tokens whose index is at `at`.
fn tokens(data: &[u8], at: usize) -> Option<Vec<&[u8]>> {
    let index = data.get(at..at + 2 * TOKENS)?;
    if index[..2] != [0, 0] || index[3] != 0 || index[2] < 2 {
        return None;
    }
    let word = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
    let offsets: Vec<u16> = index.chunks_exact(2).map(word).collect();
    let steps = |pair: &[u16]| pair[1] > pair[0] + 1 && pair[1] - pair[0] <= TOKEN_MAX;
    if !offsets.windows(2).all(steps) {
        return None;
    }
    let last = usize::from(offsets[TOKENS - 1]);
    (last + 2..last + 2 + usize::from(TOKEN_MAX) + GAP).find_map(|back| {
        let start = at.checked_sub(back).filter(|s| s % 4 == 0)?;
        table(&data[start..at], &offsets)
    })
}

/// The tokens of a table that begins with `data`; each ends where the next begins.
fn table<'a>(data: &'a [u8], offsets: &[u16]) -> Option<Vec<&'a [u8]>> {
    let token = |&offset: &u16| {
        let rest = data.get(usize::from(offset)..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        Some(&rest[..end])
    };
    let tokens: Vec<&[u8]> = offsets.iter().map(token).collect::<Option<_>>()?;
    let mut ends = offsets.windows(2).zip(&tokens);
    let tight = ends.all(|(pair, token)| usize::from(pair[1] - pair[0]) == token.len() + 1);
    let last = usize::from(offsets[TOKENS - 1]) + tokens[TOKENS - 1].len() + 1;
    let padded = data[last..].iter().all(|&b| b == 0);
    (tight && padded).then_some(tokens)
}

/// A run of numbers that may be the markers: where, and the numbers.
struct Markers {
    at: usize,
    offsets: Vec<u32>,
}

fn all_markers(data: &[u8]) -> Vec<Markers> {
    let word = |i: usize| -> Option<u32> {
        let bytes = data.get(4 * i..4 * i + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(first) = word(i) {
        let mut offsets = vec![0];
        while first == 0
            && let Some(next) = word(i + offsets.len())
            && let Some(step) = next.checked_sub(offsets[offsets.len() - 1])
            && STRIDE_BYTES.contains(&step)
        {
            offsets.push(next);
        }
        let run = offsets.len();
        if run >= MIN_MARKERS {
            found.push(Markers { at: 4 * i, offsets });
        }
        i += run;
    }
    found
}

/// Where the names of these markers begin, where their number is, and what it is.
fn names(data: &[u8], markers: &Markers) -> Option<(usize, usize, usize)> {
    let (last, runs) = (*markers.offsets.last()? as usize, markers.offsets.len());
    let counts = (runs - 1) * STRIDE + 1..=runs * STRIDE;
    let latest = markers.at.checked_sub(last)?;
    let earliest = latest.saturating_sub(STRIDE_BYTES.end as usize);
    let starts = (earliest..=latest).rev().filter(|s| s % 4 == 0);
    starts.into_iter().find_map(|names_at| {
        [4, 8].into_iter().find_map(|before| {
            let count_at = names_at.checked_sub(before)?;
            let bytes = data.get(count_at..count_at + 4)?;
            let count = u32::from_le_bytes(bytes.try_into().ok()?) as usize;
            let fits = counts.contains(&count) && count <= MAX_SYMBOLS;
            (fits && marked(data, names_at, count, markers)).then_some((names_at, count_at, count))
        })
    })
}

/// Whether `count` names from `names_at` on are where the markers say, and end before these.
fn marked(data: &[u8], names_at: usize, count: usize, markers: &Markers) -> bool {
    let mut at = names_at;
    for index in 0..count {
        let marked = markers.offsets.get(index / STRIDE);
        if index % STRIDE == 0 && marked.map(|&m| m as usize) != Some(at - names_at) {
            return false;
        }
        match name(data, at) {
            Some((_, next)) if next <= markers.at => at = next,
            _ => return false,
        }
    }
    markers.at - at < GAP
}

/// The packed name at `at`, and where the next one begins. Its length has one byte, or two if the
/// first has its top bit set.
fn name(data: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let first = usize::from(*data.get(at)?);
    let (start, len) = match first & 0x80 {
        0 => (at + 1, first),
        _ => (at + 2, first & 0x7f | usize::from(*data.get(at + 1)?) << 7),
    };
    let packed = data.get(start..start + len)?;
    (len > 0).then_some((packed, start + len))
}

fn symbols(tables: &Tables<'_>) -> Option<Symbols> {
    let addresses = layouts::addresses(tables)?;
    let mut at = tables.names_at;
    let mut all = Vec::with_capacity(tables.count);
    for address in addresses {
        let (packed, next) = name(tables.data, at)?;
        let tokens = packed.iter().map(|&t| tables.tokens[usize::from(t)]);
        let text = tokens.collect::<Vec<_>>().concat();
        all.push((address, String::from_utf8(text).ok()?));
        at = next;
    }
    // A name's first letter is the symbol's type.
    let split = all.iter().filter_map(|(address, text)| {
        let kind = *text.as_bytes().first()?;
        Some((*address, kind, text.get(1..)?))
    });
    Some(Symbols::new(split))
}

#[cfg(test)]
mod tests;
