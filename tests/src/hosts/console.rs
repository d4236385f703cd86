//! What the console of an emulated host says about the run.
//!
//! In: the console's text so far and the mark this run's init puts before its own lines. Out: how
//! far it has come. The mark is new in each run, so no output of a command is taken for it.

/// How far a run has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The command was started.
    pub(super) started: bool,
    /// The kernel has panicked.
    pub(super) panicked: bool,
    /// What init could not set up.
    pub(super) setup: Option<String>,
    /// Flushes asked of the CPU.
    pub(super) flushes: Option<u64>,
    /// The command's exit code.
    pub(super) status: Option<i32>,
}

impl Progress {
    pub(super) fn read(console: &str, mark: &str) -> Self {
        let mut progress = Self {
            panicked: console.contains("Kernel panic - not syncing"),
            ..Self::default()
        };
        for rest in console.split(mark).skip(1) {
            // A line without its end may still grow.
            if let Some((line, _)) = rest.split_once('\n') {
                progress.line(line.trim());
            }
        }
        progress
    }

    fn line(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("start", _) => self.started = true,
            ("setup", what) => self.setup = Some(what.to_owned()),
            ("flushes", count) => self.flushes = self.flushes.or(count.parse().ok()),
            ("status", code) => self.status = self.status.or(code.parse().ok()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_and_other_lines_do_not() {
        let text = "boot\nM1 start\r\nM1 start\nstatus 9\nM1 flushes 12\n[ 1.0] x M1 status 3\n";
        let progress = Progress::read(text, "M1");
        assert!(progress.started && !progress.panicked);
        assert_eq!((progress.flushes, progress.status), (Some(12), Some(3)));
    }

    #[test]
    fn a_line_cut_short_waits_and_a_spoilt_one_is_made_good_by_its_twin() {
        assert_eq!(Progress::read("M1 status 1", "M1").status, None);
        let spoilt = "M1 status [ 2.0] oops\n1\nM1 status 17\n";
        assert_eq!(Progress::read(spoilt, "M1").status, Some(17));
    }

    #[test]
    fn a_panic_is_seen() {
        let text = "M1 start\n[    1.5] Kernel panic - not syncing: sysrq\n";
        assert!(Progress::read(text, "M1").panicked);
    }
}
