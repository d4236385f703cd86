//! The archive Linux unpacks as its first file system: "newc" cpio
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Comes in: files, in the order their directories need. Goes out: bytes; the same for the same
//! files, whenever and by whomever they are made.

/// Directory, regular file, symbolic link, character device.
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    /// An empty one.
    #[must_use]
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Archive {
        self.entry(path, S_IFDIR | 0o755, (0, 0), &[])
    }

    /// Adds a file with permissions `mode`.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, contents: &[u8]) -> Archive {
        self.entry(path, S_IFREG | mode & 0o7777, (0, 0), contents)
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Archive {
        self.entry(path, S_IFLNK | 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a character device.
    #[must_use]
    pub fn device(self, path: &str, (major, minor): (u32, u32)) -> Archive {
        self.entry(path, S_IFCHR | 0o600, (major, minor), &[])
    }

    /// The finished archive.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.entry("TRAILER!!!", 0, (0, 0), &[]).bytes;
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    /// A header of thirteen numbers of eight hexadecimal digits, the name with its zero, the
    /// contents; both padded to four bytes.
    fn entry(mut self, path: &str, mode: u32, rdev: (u32, u32), contents: &[u8]) -> Archive {
        self.files += 1;
        // A file of 4 GiB does not fit the format, nor any memory this is meant for.
        let size = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        let contents = &contents[..size as usize];
        let numbers = [
            self.files,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            rdev.0,
            rdev.1,
            path.len() as u32 + 1,
            0,
        ];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08x}").into_bytes());
        }
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_the_trailer_ends_them() {
        let archive = Archive::new()
            .dir("bin")
            .file("bin/x", 0o755, b"hello")
            .link("init", "bin/x")
            .device("console", (5, 1))
            .finish();
        assert!(archive.len().is_multiple_of(512));
        let text = String::from_utf8_lossy(&archive);
        let starts: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 5);
        assert!(starts.iter().all(|at| at.is_multiple_of(4)));
        let field = |entry: usize, number: usize| {
            let at = starts[entry] + 6 + 8 * number;
            u32::from_str_radix(&text[at..at + 8], 16).expect("a number")
        };
        assert_eq!(field(1, 1), 0o100_755);
        assert_eq!(field(1, 6), 5);
        assert_eq!((field(3, 9), field(3, 10)), (5, 1));
        let contents = starts[1] + (110 + 6_usize).next_multiple_of(4);
        assert_eq!(&text[contents..contents + 5], "hello");
    }
}
