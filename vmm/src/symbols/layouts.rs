//! How a kernel's build lays the parts of kallsyms out, and how an entry of the address table is
//! read: it differs from release to release, and nothing in the image says which. So every known
//! way is tried, and the one that gives sorted addresses inside the kernel is right.

use super::kallsyms::Tables;

/// How an address table's 32-bit entries are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not negative: an absolute address (of the per-CPU section); negative: one below it is
    /// how far after the base. Up to 6.14.
    AbsolutePerCpu,
    /// After the base. Up to 7.1.
    AfterBase,
    /// Signed, from the entry's own place: no base. From 7.x on.
    FromEntry,
}

const ENCODINGS: [Encoding; 3] = [
    Encoding::AbsolutePerCpu,
    Encoding::AfterBase,
    Encoding::FromEntry,
];

/// The share of neighbours that may be out of order, in percent: none are in a table read rightly,
/// but for the absolute ones at its beginning.
const DISORDER_PCT: usize = 1;

/// The addresses of all symbols, by the way of reading that makes sense.
pub(super) fn addresses(tables: &Tables<'_>) -> Option<Vec<u64>> {
    let places = places(tables);
    let all = places.iter().flat_map(|&(at, base)| {
        let encodings = ENCODINGS.iter();
        encodings.map(move |&encoding| (at, base, encoding))
    });
    all.filter_map(|(at, base, encoding)| read(tables, at, base, encoding))
        .find(|addresses| sensible(tables, addresses))
}

/// Where the table may begin, and its base: after the token index (from 6.4 on), or before the
/// number of symbols, with or without the base between.
fn places(tables: &Tables<'_>) -> Vec<(usize, Option<u64>)> {
    let size = 4 * tables.count;
    let word = |at: usize| {
        let bytes = tables.data.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let after = tables.tokens_end;
    let mut places = vec![(after, word((after + size).next_multiple_of(8)))];
    for gap in [8, 0] {
        let base_at = tables.count_at.saturating_sub(gap);
        if let Some(at) = base_at.checked_sub(size.next_multiple_of(8)) {
            places.push((at, word(base_at)));
        }
    }
    places
}

fn read(tables: &Tables<'_>, at: usize, base: Option<u64>, encoding: Encoding) -> Option<Vec<u64>> {
    let bytes = tables.data.get(at..at.checked_add(4 * tables.count)?)?;
    let entries = bytes.chunks_exact(4).enumerate();
    let address = |(index, entry): (usize, &[u8])| {
        let offset = i32::from_le_bytes(entry.try_into().ok()?);
        let signed = i64::from(offset);
        Some(match encoding {
            Encoding::AbsolutePerCpu if offset >= 0 => offset as u64,
            Encoding::AbsolutePerCpu => base?.wrapping_add_signed(-1 - signed),
            Encoding::AfterBase => base?.wrapping_add(u64::from(offset.cast_unsigned())),
            Encoding::FromEntry => {
                let here = tables.vaddr + (at + 4 * index) as u64;
                here.wrapping_add_signed(signed)
            }
        })
    };
    entries.map(address).collect()
}

/// Sorted, and most of them in the top 2 GiB, from the kernel's beginning on.
fn sensible(tables: &Tables<'_>, addresses: &[u64]) -> bool {
    let pairs = addresses.windows(2);
    let disordered = pairs.filter(|pair| pair[1] < pair[0]).count();
    let inside = |&&at: &&u64| at >= tables.kernel.start && at <= tables.kernel.end;
    let inside = addresses.iter().filter(inside).count();
    disordered * 100 <= addresses.len() * DISORDER_PCT && inside * 2 > addresses.len()
}
