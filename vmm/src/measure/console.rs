//! The guest's console while it is measured: the runner says which operation it begins, and what
//! the guest said last is kept for when it dies.

use crate::progress::Progress;
use std::collections::VecDeque;
use std::io::Write;

/// A line longer than this is cut: the guest may print for ever without a newline.
const LINE_MAX: usize = 1024;
/// Lines kept.
const LINES: usize = 12;
/// What the runner's lines begin with: `measure: OPERATION PAGES @DEPTH`, or `measure: N rows`.
const RUNNER: &str = "measure: ";

pub(super) struct Console<'a> {
    progress: &'a mut (dyn Progress + Send),
    echo: bool,
    line: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Console<'a> {
    pub(super) fn new(progress: &'a mut (dyn Progress + Send), echo: bool) -> Console<'a> {
        Console {
            progress,
            echo,
            line: Vec::new(),
            last: VecDeque::with_capacity(LINES),
        }
    }

    /// What the guest said last.
    pub(super) fn last_lines(&self) -> String {
        self.last.iter().map(|line| format!("{line}\n")).collect()
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end().escape_debug().to_string();
        if self.echo {
            self.progress.line(&line);
        }
        if let Some(rest) = line.strip_prefix(RUNNER) {
            match rest.strip_suffix(" rows").and_then(|n| n.parse().ok()) {
                Some(rows) => self.progress.start(rows),
                None => {
                    let (operation, size) = rest.split_once(' ').unwrap_or((rest, ""));
                    self.progress.cell(operation, size);
                }
            }
        }
        if self.last.len() == LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Write for Console<'_> {
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
