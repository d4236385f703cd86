//! A guest's console for a command that reads along: a line at a time it says what the guest is at,
//! and what it said last is kept for when it dies.
//!
//! Comes in: bytes, as the guest prints them. Goes out: progress, and the last lines, made safe to
//! print.

use crate::progress::Progress;
use std::collections::VecDeque;
use std::io::Write;

/// A line longer than this is cut: the guest may print for ever without a newline.
const LINE_MAX: usize = 1024;
/// Lines kept.
const LINES: usize = 12;

/// What a line means to the command.
pub(crate) type Heard = fn(&str, &mut dyn Progress);

/// The console.
pub(crate) struct Lines<'a> {
    progress: &'a mut (dyn Progress + Send),
    heard: Heard,
    echo: bool,
    line: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    /// Tells `progress` what is `heard`, and shows every line if there is to be an `echo`.
    pub(crate) fn new(
        progress: &'a mut (dyn Progress + Send),
        heard: Heard,
        echo: bool,
    ) -> Lines<'a> {
        Lines {
            progress,
            heard,
            echo,
            line: Vec::new(),
            last: VecDeque::with_capacity(LINES),
        }
    }

    /// What the guest said last.
    pub(crate) fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end().escape_debug().to_string();
        if self.echo {
            self.progress.line(&line);
        }
        (self.heard)(&line, self.progress);
        if self.last.len() == LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_of_line(),
                _ if self.line.len() < LINE_MAX => self.line.push(byte),
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Quiet;

    #[test]
    fn the_last_lines_are_kept_short_and_safe() {
        let mut quiet = Quiet;
        let mut lines = Lines::new(&mut quiet, |_, _| {}, false);
        for n in 0..LINES {
            writeln!(lines, "line {n}\r").expect("taken");
        }
        lines.write_all(b"\x1b[2J\n").expect("taken");
        lines.write_all(&[b'x'; 2 * LINE_MAX]).expect("taken");
        lines.write_all(b"\nunfinished").expect("taken");
        let last: Vec<&str> = lines.last().collect();
        assert_eq!((last.len(), last[0]), (LINES, "line 2"));
        assert_eq!(last[LINES - 2], "\\u{1b}[2J");
        assert_eq!(last[LINES - 1].len(), LINE_MAX);
    }
}
