//! The progress bar: on stderr, and only if that is a terminal.

use super::output::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use xenlet::progress::Progress;

/// Cells done, of how many, and the one in hand.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(super) fn new() -> Bar {
        let bar = ProgressBar::hidden();
        if io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar { bar }
    }
}

impl Progress for Bar {
    fn start(&mut self, cells: usize) {
        self.bar.set_length(cells as u64);
    }

    fn cell(&mut self, workload: &str, policy: &str) {
        self.bar.set_message(format!("{workload}/{policy}"));
        self.bar.inc(1);
    }

    fn line(&mut self, text: &str) {
        // A hidden bar prints nothing, and what is worth a line is worth it without a terminal.
        self.bar.suspend(|| say(text));
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}
