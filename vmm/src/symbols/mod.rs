//! What a kernel's addresses mean: names of functions, and the way from a trap to its callers.
//!
//! Comes in: the kernel's image, and possibly a System.map or vmlinux of it. Goes out: [`Symbols`]
//! and an [`Unwinder`]. All of it is read once, before the guest runs; a kernel that cannot be
//! understood has no names or no call sites, and everything else works.

mod file;
mod kallsyms;
mod layouts;
mod orc;
mod unwind;

pub use file::{FileError, check, read};
pub use kallsyms::find as kallsyms;
pub use orc::Orc;
pub use unwind::Unwinder;

use crate::image::Image;
use hypercalls::Vaddr;

/// Functions of a kernel by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Sorted by address; one name an address.
    functions: Vec<(u64, Box<str>)>,
}

/// What a name may begin with that is only the space before a function.
const PADDING: &str = "__pfx_";

impl Symbols {
    /// From (address, type, name) of all symbols, in any order; what is not code is left out.
    #[must_use]
    pub fn new<'a>(all: impl IntoIterator<Item = (u64, u8, &'a str)>) -> Symbols {
        let code = |kind: u8| matches!(kind, b'T' | b't' | b'W' | b'w');
        let all = all.into_iter();
        let kept = all.filter(|&(_, kind, name)| code(kind) && !name.starts_with(PADDING));
        // Of several names for an address a global one is the better known; of a system call's the
        // native one.
        let rank = |kind: u8, name: &str| (kind == b't', name.starts_with("__ia32_"));
        let mut kept: Vec<_> = kept
            .map(|(at, kind, name)| (at, rank(kind, name), name))
            .collect();
        kept.sort_by_key(|&(at, rank, _)| (at, rank));
        kept.dedup_by_key(|&mut (at, ..)| at);
        let functions = kept.into_iter().map(|(at, _, name)| (at, name.into()));
        Symbols {
            functions: functions.collect(),
        }
    }

    /// The function `address` lies in.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<&str> {
        let after = self.functions.partition_point(|&(at, _)| at <= address);
        let (_, name) = self.functions.get(after.checked_sub(1)?)?;
        Some(name)
    }

    /// Where a function begins.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<u64> {
        let found = self.functions.iter().find(|(_, n)| &**n == name);
        found.map(|&(at, _)| at)
    }

    /// How many functions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

/// How every kernel's banner begins; the release follows.
const BANNER: &[u8] = b"Linux version ";
/// The longest banner read.
const BANNER_MAX: usize = 512;

/// The kernel's `linux_banner`, without its newline; the first text that looks like one.
#[must_use]
pub fn banner(image: &Image) -> Option<String> {
    image.segments.iter().find_map(|segment| {
        let data = image.data(segment);
        let starts = data.windows(BANNER.len()).enumerate();
        let mut starts = starts.filter(|(_, window)| *window == BANNER);
        starts.find_map(|(at, _)| banner_at(&data[at..]))
    })
}

fn banner_at(data: &[u8]) -> Option<String> {
    let text = &data[..data.len().min(BANNER_MAX)];
    let end = text.iter().position(|&b| b == b'\n' || b == 0)?;
    let text = std::str::from_utf8(&text[..end]).ok()?;
    let release = text.get(BANNER.len()..)?;
    release
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| text.to_owned())
}

/// The release a banner names.
#[must_use]
pub fn release(banner: &str) -> &str {
    banner.split_whitespace().nth(2).unwrap_or("")
}

/// The image's bytes at a virtual address, up to the end of their segment.
fn bytes_at(image: &Image, at: Vaddr) -> Option<&[u8]> {
    image.segments.iter().find_map(|segment| {
        let offset = at.0.checked_sub(segment.vaddr.0)?;
        image.data(segment).get(usize::try_from(offset).ok()?..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let symbols = Symbols::new([
            (0x30, b't', "c"),
            (0x10, b't', "local"),
            (0x10, b'T', "a"),
            (0x18, b'D', "data"),
            (0x2c, b't', "__pfx_c"),
        ]);
        assert_eq!(symbols.len(), 2);
        assert_eq!(symbols.function(0xf), None);
        assert_eq!(symbols.function(0x2f), Some("a"));
        assert_eq!(symbols.function(u64::MAX), Some("c"));
        assert_eq!(symbols.address("c"), Some(0x30));
    }

    #[test]
    fn a_banner_names_a_release() {
        let text = b"Linux version 6.12.1 (x@y) #1 SMP\n\0";
        let banner = banner_at(text).expect("a banner");
        assert_eq!(release(&banner), "6.12.1");
        assert_eq!(banner_at(b"Linux version %s\n"), None);
    }
}
