//! Tables as the kernel's build writes them, in each layout, and damaged ones.

use super::*;

const BASE: u64 = 0xffff_ffff_8100_0000;
const COUNT: usize = MIN_MARKERS * STRIDE;
/// Where the segment lies.
const VADDR: u64 = BASE + 0x10_0000;

/// How a release lays its tables out.
#[derive(Clone, Copy, Debug)]
enum Release {
    /// Addresses before the number, per-CPU symbols absolute.
    V6_1,
    /// Addresses after the tokens, per-CPU symbols absolute.
    V6_12,
    /// Addresses after the tokens, each from its own place.
    V7_2,
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// Each byte is its own token: names are packed as they are.
fn tokens_and_index(out: &mut Vec<u8>) {
    let mut index = Vec::new();
    let start = out.len();
    for token in 0..TOKENS {
        index.extend(((out.len() - start) as u16).to_le_bytes());
        // A byte that is no letter gets a longer token, as in a real table.
        let printable = (token as u8).is_ascii_graphic();
        let text = if printable {
            vec![token as u8]
        } else {
            format!("_{token}").into_bytes()
        };
        out.extend(text);
        out.push(0);
    }
    pad(out, 4);
    out.extend(index);
}

fn address(i: usize) -> u64 {
    BASE + 0x20 * i as u64
}

fn offsets(out: &mut Vec<u8>, release: Release) {
    for i in 0..COUNT {
        let here = VADDR + out.len() as u64;
        let offset = match release {
            Release::V7_2 => address(i).wrapping_sub(here) as i32,
            _ => -1 - (address(i) - BASE) as i32,
        };
        out.extend(offset.to_le_bytes());
    }
    pad(out, 8);
    if !matches!(release, Release::V7_2) {
        out.extend(BASE.to_le_bytes());
    }
}

fn segment(release: Release) -> Vec<u8> {
    let mut out = b"before the tables, something else".to_vec();
    pad(&mut out, 8);
    if matches!(release, Release::V6_1) {
        offsets(&mut out, release);
    }
    out.extend((COUNT as u64).to_le_bytes());
    let (names_at, mut markers) = (out.len(), Vec::new());
    for i in 0..COUNT {
        if i % STRIDE == 0 {
            markers.push((out.len() - names_at) as u32);
        }
        let name = format!("Tfunction_{i}");
        out.push(name.len() as u8);
        out.extend(name.into_bytes());
    }
    pad(&mut out, 8);
    out.extend(markers.iter().flat_map(|m| m.to_le_bytes()));
    pad(&mut out, 8);
    tokens_and_index(&mut out);
    if !matches!(release, Release::V6_1) {
        offsets(&mut out, release);
    }
    out.extend(b"after the tables, something else again");
    out
}

fn kernel() -> Range<u64> {
    BASE..BASE + 0x100_0000
}

#[test]
fn every_layout_is_found_and_read() {
    for release in [Release::V6_1, Release::V6_12, Release::V7_2] {
        let found = in_segment(&segment(release), VADDR, kernel());
        let symbols = found.unwrap_or_else(|| panic!("{release:?}: no table"));
        assert_eq!(symbols.len(), COUNT, "{release:?}");
        for i in [0, 1, 255, 256, COUNT - 1] {
            let name = format!("function_{i}");
            assert_eq!(
                symbols.function(address(i) + 8),
                Some(name.as_str()),
                "{release:?}"
            );
        }
    }
}

#[test]
fn a_damaged_table_is_none() {
    let whole = segment(Release::V6_12);
    let find = |bytes: &[u8]| in_segment(bytes, VADDR, kernel());
    assert!(find(&[]).is_none());
    for cut in [1, 2, 3, 5] {
        assert!(find(&whole[..whole.len() * cut / 6]).is_none(), "{cut}/6");
    }
    // One name longer than it is: the markers do not fit any more.
    let mut longer = whole.clone();
    let at = whole
        .windows(12)
        .position(|w| w == b"Tfunction_70")
        .expect("there");
    longer[at - 1] += 1;
    assert!(find(&longer).is_none());
}
