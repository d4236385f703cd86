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
    /// Each run that has ended: its exit code, and the flushes asked of the CPU until then.
    pub(super) ran: Vec<(i32, Option<u64>)>,
    /// All runs have ended, and their output is written.
    pub(super) ended: bool,
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
            ("ran", what) => {
                if let Some((number, code, flushes)) = ran(what)
                    && number == self.ran.len()
                {
                    self.ran.push((code, flushes));
                }
            }
            ("end", _) => self.ended = true,
            _ => {}
        }
    }
}

/// A run's number, exit code and flushes; a spoilt line has none.
fn ran(line: &str) -> Option<(usize, i32, Option<u64>)> {
    let mut words = line.split(' ');
    let (number, code) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    match (words.next()?, words.next()) {
        ("-", None) => Some((number, code, None)),
        (flushes, None) => Some((number, code, Some(flushes.parse().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_and_other_lines_do_not() {
        let text = "boot\nM1 start\r\nM1 start\nran 0 9 -\nM1 ran 0 3 12\n[ 1.0] x M1 ran 0 3 12\n";
        let progress = Progress::read(text, "M1");
        assert!(progress.started && !progress.panicked && !progress.ended);
        assert_eq!(progress.ran, [(3, Some(12))]);
    }

    #[test]
    fn a_line_cut_short_waits_and_a_spoilt_one_is_made_good_by_its_twin() {
        assert_eq!(Progress::read("M1 ran 0 1 -", "M1").ran, []);
        let spoilt =
            "M1 ran 0 [ 2.0] oops\n1 7\nM1 ran 0 17 -\nM1 ran 1 0 4\nM1 ran 1 0 4\nM1 end\n";
        let progress = Progress::read(spoilt, "M1");
        assert_eq!(progress.ran, [(17, None), (0, Some(4))]);
        assert!(progress.ended);
    }

    #[test]
    fn a_panic_is_seen() {
        let text = "M1 start\n[    1.5] Kernel panic - not syncing: sysrq\n";
        assert!(Progress::read(text, "M1").panicked);
    }
}
