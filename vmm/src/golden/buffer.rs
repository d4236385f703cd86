//! The multicall buffer as a counter: how many times it is flushed, nothing else.
//!
//! From the documented sizes alone: 32 entries, 512 argument bytes, and a request that would
//! *reach* the last byte waits for the next flush. An update is 16 bytes and joins the entry
//! before it if that is one of updates too; a TLB flush is an entry of its own.

use crate::config::Batch;

/// Entries.
const ENTRIES: u32 = 32;
/// Argument bytes.
const BYTES: u32 = 512;
/// Bytes of an update: machine address and value.
const UPDATE: u32 = 16;
/// Bytes of a TLB flush for several vCPUs, up to 64 of them: operation and mask.
pub(super) const FLUSH_MULTI: u32 = 24 + 8;

/// A buffer that counts.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    limit: u32,
    entries: u32,
    bytes: u32,
    /// Whether the last entry is one of updates.
    open: bool,
    /// Times it was flushed with something in it.
    pub(super) flushes: u64,
}

impl Buffer {
    pub(super) fn new(batch: Batch) -> Buffer {
        Buffer {
            limit: match batch {
                Batch::Linux => BYTES,
                // One more than the last that fits: the test is for reaching the limit.
                Batch::Updates(n) => UPDATE * n + UPDATE,
            },
            entries: 0,
            bytes: 0,
            open: false,
            flushes: 0,
        }
    }

    /// An update.
    pub(super) fn update(&mut self) {
        if self.open && self.bytes + UPDATE < self.limit {
            self.bytes += UPDATE;
            return;
        }
        self.entry(UPDATE);
        self.open = true;
    }

    /// An entry of its own with `bytes` of arguments.
    pub(super) fn entry(&mut self, bytes: u32) {
        if self.entries == ENTRIES || self.bytes + bytes >= self.limit {
            self.flush();
        }
        self.entries += 1;
        self.bytes += bytes;
        self.open = false;
    }

    /// Issues what is queued, if anything.
    pub(super) fn flush(&mut self) {
        self.flushes += u64::from(self.entries > 0);
        self.clear();
    }

    /// Empties it where nobody counts.
    pub(super) fn clear(&mut self) {
        (self.entries, self.bytes, self.open) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flushes of a section that does `f`, the last included.
    fn count(batch: Batch, f: impl FnOnce(&mut Buffer)) -> u64 {
        let mut buffer = Buffer::new(batch);
        f(&mut buffer);
        buffer.flush();
        buffer.flushes
    }

    fn sets(n: u32) -> impl Fn(&mut Buffer) {
        move |b| (0..n).for_each(|_| b.update())
    }

    #[test]
    fn sets_alone() {
        for (n, traps) in [
            (0, 0),
            (1, 1),
            (31, 1),
            (32, 2),
            (62, 2),
            (63, 3),
            (64, 3),
            (128, 5),
            (256, 9),
            (512, 17),
        ] {
            assert_eq!(count(Batch::Linux, sets(n)), traps, "{n} sets");
        }
    }

    #[test]
    fn sets_and_a_flush_at_the_end() {
        for (n, traps) in [(29, 1), (30, 2), (31, 2), (512, 17)] {
            let flushes = count(Batch::Linux, |b| {
                sets(n)(b);
                b.entry(FLUSH_MULTI);
            });
            assert_eq!(flushes, traps, "{n} sets and a flush");
        }
    }

    #[test]
    fn flushes_break_the_run_of_updates() {
        for (bytes, traps) in [(32, 52), (24, 41)] {
            let flushes = count(Batch::Linux, |b| {
                for _ in 0..512 {
                    b.entry(bytes);
                    b.update();
                }
            });
            assert_eq!(flushes, traps, "flushes of {bytes} bytes");
        }
    }

    #[test]
    fn entries_without_arguments_fill_it_too() {
        // update_va_mapping passes its arguments in registers.
        assert_eq!(count(Batch::Linux, |b| (0..64).for_each(|_| b.entry(0))), 2);
    }

    #[test]
    fn a_flush_larger_than_the_buffer_goes_alone() {
        let flushes = count(Batch::Updates(1), |b| {
            b.update();
            b.entry(FLUSH_MULTI);
            b.update();
        });
        assert_eq!(flushes, 3);
    }

    #[test]
    fn other_capacities() {
        for (n, traps) in [(32, 16), (64, 8), (128, 4), (512, 1), (1, 512)] {
            assert_eq!(count(Batch::Updates(n), sets(512)), traps, "batch {n}");
        }
        assert_eq!(count(Batch::Updates(31), sets(512)), 17);
    }
}
