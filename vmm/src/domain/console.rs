//! The console, whichever way the guest uses it (`console_io`, the ring): bytes out, bytes in.
//!
//! Comes in: what the guest writes, what the user types. Goes out: the host drains the output
//! after a trap. Both sides are bounded: a guest that writes without end loses its oldest output.

use std::collections::VecDeque;

/// Output bytes kept until the host takes them.
const OUT_LIMIT: usize = 1 << 20;
/// Input bytes kept until the guest takes them.
const IN_LIMIT: usize = 1 << 14;

/// Both directions.
#[derive(Clone, Debug, Default)]
pub struct Console {
    out: VecDeque<u8>,
    input: VecDeque<u8>,
    /// Somebody waits to type more.
    waiting: bool,
    /// Output bytes that were dropped because nobody took them.
    pub lost: u64,
}

impl Console {
    /// The guest writes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
        let over = self.out.len().saturating_sub(OUT_LIMIT);
        self.out.drain(..over);
        self.lost += over as u64;
    }

    /// The guest reads up to `limit` bytes.
    pub fn read(&mut self, limit: usize) -> Vec<u8> {
        let n = limit.min(self.input.len());
        self.input.drain(..n).collect()
    }

    /// The host takes what the guest wrote.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out).into()
    }

    /// Whether there is output to take.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// What was typed and not read.
    #[must_use]
    pub fn typed(&mut self) -> &[u8] {
        self.input.make_contiguous()
    }

    /// The user types; what does not fit is dropped.
    pub fn type_in(&mut self, bytes: &[u8]) {
        self.input.extend(bytes.iter().take(self.room()));
    }

    /// How many bytes can be typed and none dropped; who finds none is told when there are.
    pub fn claim_room(&mut self) -> usize {
        self.waiting |= self.room() == 0;
        self.room()
    }

    /// Whether somebody waited for room and there is some again; said once.
    pub fn has_made_room(&mut self) -> bool {
        let made = self.waiting && self.room() >= IN_LIMIT / 2;
        self.waiting &= !made;
        made
    }

    fn room(&self) -> usize {
        IN_LIMIT.saturating_sub(self.input.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_and_input_comes_in_order() {
        let mut c = Console::default();
        c.write(&vec![b'a'; OUT_LIMIT]);
        c.write(b"bc");
        assert_eq!(c.lost, 2);
        assert!(c.take_output().ends_with(b"abc"));
        c.type_in(b"xyz");
        assert_eq!(c.read(2), b"xy");
        assert_eq!(c.read(9), b"z");
    }

    #[test]
    fn who_waits_for_room_is_told_once() {
        let mut c = Console::default();
        assert_eq!(c.claim_room(), IN_LIMIT);
        c.type_in(&vec![b'a'; IN_LIMIT]);
        assert!(!c.has_made_room(), "nobody waits");
        assert_eq!(c.claim_room(), 0);
        c.read(1);
        assert!(!c.has_made_room(), "too little");
        c.read(IN_LIMIT / 2);
        assert!(c.has_made_room() && !c.has_made_room());
    }
}
