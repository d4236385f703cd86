//! ORC: for each address of the kernel's code, where the caller's frame is. Two tables in the
//! image, `.orc_unwind_ip` and `.orc_unwind`, of which the sections tell where they are.

use crate::image::Image;

/// The lowest address of a kernel's text: the top 2 GiB.
const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// Bytes of an entry.
const ENTRY: usize = 6;

/// A register an entry computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Unknown, or the end.
    Undefined,
    /// The caller's stack pointer.
    PreviousSp,
    /// rbp.
    Bp,
    /// rsp.
    Sp,
    /// What is at rbp + offset.
    AtBp,
    /// What is at rsp, + offset.
    AtSp,
    /// One that only the innermost frame still has.
    Scratch(Scratch),
}

/// Registers that a call does not keep, or that nothing says where they were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scratch {
    Dx,
    Di,
    R10,
    R13,
}

/// How registers are numbered: it changed, and nothing in the image says which it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Numbers {
    /// Up to 6.x at least.
    #[default]
    SpIs5,
    /// 7.2 and 7.3.
    SpIs3,
}

impl Numbers {
    /// Most frames are found from rsp: its number is the one most entries have.
    fn of(entries: &[[u8; ENTRY]]) -> Numbers {
        let count = |number| entries.iter().filter(|e| e[4] & 0xf == number).count();
        if count(3) > count(5) {
            Numbers::SpIs3
        } else {
            Numbers::SpIs5
        }
    }

    fn base(self, number: u16) -> Base {
        match (self, number) {
            (Numbers::SpIs5, 1) | (Numbers::SpIs3, 8) => Base::PreviousSp,
            (Numbers::SpIs5, 5) | (Numbers::SpIs3, 3) => Base::Sp,
            (Numbers::SpIs5, 8) | (Numbers::SpIs3, 10) => Base::AtBp,
            (Numbers::SpIs5, 3) => Base::Scratch(Scratch::Di),
            (_, 4) => Base::Bp,
            (_, 9) => Base::AtSp,
            (_, 2) => Base::Scratch(Scratch::Dx),
            (_, 6) => Base::Scratch(Scratch::R10),
            (_, 7) => Base::Scratch(Scratch::R13),
            _ => Base::Undefined,
        }
    }
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The caller's stack pointer: `sp_base` + `sp_offset`.
    pub(super) sp_base: Base,
    pub(super) sp_offset: i16,
    /// Where the caller's rbp is: at `bp_base` + `bp_offset`.
    pub(super) bp_base: Base,
    pub(super) bp_offset: i16,
    /// An ordinary call: the return address is below the caller's stack pointer. Otherwise an
    /// exception's frame, or the end.
    pub(super) call: bool,
}

/// The tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orc {
    /// Addresses, from [`KERNEL`] on, sorted.
    ips: Vec<u32>,
    entries: Vec<[u8; ENTRY]>,
    /// The layout from 6.4 on, which has a section that says its version.
    typed: bool,
    numbers: Numbers,
}

impl Orc {
    /// The image's tables; `None` if it has none, or they are no pair.
    #[must_use]
    pub fn find(image: &Image) -> Option<Orc> {
        let (vaddr, ips) = image.section(".orc_unwind_ip")?;
        let (_, entries) = image.section(".orc_unwind")?;
        Orc::parse(vaddr, ips, entries, image.section(".orc_header").is_some())
    }

    fn parse(vaddr: u64, ips: &[u8], entries: &[u8], typed: bool) -> Option<Orc> {
        let entries: Vec<[u8; ENTRY]> = (entries.chunks_exact(ENTRY))
            .map(|e| e.try_into().unwrap_or_default())
            .collect();
        let own = |(i, offset): (usize, &[u8])| {
            let offset = i64::from(i32::from_le_bytes(offset.try_into().ok()?));
            let at = vaddr.wrapping_add(4 * i as u64).wrapping_add_signed(offset);
            u32::try_from(at.checked_sub(KERNEL)?).ok()
        };
        let ips: Vec<u32> = ips
            .chunks_exact(4)
            .enumerate()
            .map(own)
            .collect::<Option<_>>()?;
        let sound = ips.len() == entries.len() && !ips.is_empty() && ips.is_sorted();
        sound.then_some(Orc {
            numbers: Numbers::of(&entries),
            ips,
            entries,
            typed,
        })
    }

    /// What holds at `ip`.
    pub(super) fn entry(&self, ip: u64) -> Option<Entry> {
        let offset = u32::try_from(ip.checked_sub(KERNEL)?).ok()?;
        let after = self.ips.partition_point(|&at| at <= offset);
        let [a, b, c, d, e, f] = *self.entries.get(after.checked_sub(1)?)?;
        let bits = u16::from_le_bytes([e, f]);
        // Both layouts: four bits a register; then the type, of which 6.4 made one more.
        let call = match self.typed {
            true => bits >> 8 & 7 == 2,
            false => bits >> 8 & 3 == 0,
        };
        Some(Entry {
            sp_base: self.numbers.base(bits & 0xf),
            sp_offset: i16::from_le_bytes([a, b]),
            bp_base: self.numbers.base(bits >> 4 & 0xf),
            bp_offset: i16::from_le_bytes([c, d]),
            call,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_until_the_next() {
        let section = 0xffff_ffff_8200_0000_u64;
        let ip = |i: u64, at: u64| (at.wrapping_sub(section + 4 * i) as i32).to_le_bytes();
        let text = 0xffff_ffff_8100_0000;
        let ips = [ip(0, text), ip(1, text + 0x10)].concat();
        let entries = [[8, 0, 0, 0, 0x05, 2], [16, 0, 0xf0, 0xff, 0x15, 2]].concat();
        let orc = Orc::parse(section, &ips, &entries, true).expect("a pair");
        assert_eq!(orc.entry(text - 1), None);
        let first = orc.entry(text + 0xf).expect("covered");
        assert_eq!(
            (first.sp_base, first.sp_offset, first.call),
            (Base::Sp, 8, true)
        );
        let second = orc.entry(text + 0x10).expect("covered");
        assert_eq!((second.bp_base, second.bp_offset), (Base::PreviousSp, -16));
        assert_eq!(Orc::parse(section, &ips, &entries[..6], true), None);
        let newer = [[8, 0, 0, 0, 0x03, 2], [16, 0, 0xf0, 0xff, 0x83, 2]].concat();
        let newer = Orc::parse(section, &ips, &newer, true).expect("a pair");
        assert_eq!(newer.entry(text), Some(first));
        assert_eq!(newer.entry(text + 0x10), Some(second));
        let unsorted = [ip(0, text + 0x20), ip(1, text)].concat();
        assert_eq!(Orc::parse(section, &unsorted, &entries, true), None);
    }
}
