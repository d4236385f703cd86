//! Lines on the emergency console, each one hypercall.

use crate::hypercall;
use core::fmt::{self, Write};
use hypercalls::Nr;
use hypercalls::console::CONSOLEIO_WRITE;

/// A line under way; longer ones are cut.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let n = s.len().min(room);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Prints one line.
pub(crate) fn line(args: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; 512],
        len: 0,
    };
    // Writing to a Line cannot fail: what does not fit is cut.
    let _ = line.write_fmt(args);
    let end = line.len.min(line.bytes.len() - 1);
    line.bytes[end] = b'\n';
    let text = &mut line.bytes[..=end];
    let len = text.len() as u64;
    hypercall::call(
        Nr::ConsoleIo,
        [
            u64::from(CONSOLEIO_WRITE),
            len,
            hypercall::address_of(text),
            0,
            0,
        ],
    );
}
