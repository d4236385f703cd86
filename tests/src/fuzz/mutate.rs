//! Mutation without a fuzzer: what a bounded run makes of the corpus where libFuzzer is not at
//! hand. Blind, unlike libFuzzer: it does not see what an input reaches.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Changes of one input, at most.
const CHANGES: u64 = 6;
/// Bytes that are often borders.
const BORDERS: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x10, 0x08, 0xfe];

/// A source of mutations.
#[derive(Debug)]
pub struct Mutator {
    rng: TestRng,
    longest: usize,
}

impl Mutator {
    /// Of inputs up to `longest` bytes, from a seed.
    pub fn new(seed: u64, longest: usize) -> Mutator {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Mutator { rng, longest }
    }

    /// An input made of those of `corpus`, which has some.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).clone();
        for _ in 0..=self.below(CHANGES as usize) {
            self.change(&mut input, corpus);
        }
        input.truncate(self.longest);
        input
    }

    fn below(&mut self, end: usize) -> usize {
        (self.rng.next_u64() % end.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, corpus: &'a [Vec<u8>]) -> &'a Vec<u8> {
        &corpus[self.below(corpus.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = (at + 1 + self.below(32)).min(input.len());
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = BORDERS[self.below(BORDERS.len())],
            2 if at < input.len() => input[at] = self.rng.next_u32() as u8,
            3 => input.truncate(at),
            4 => drop(input.drain(at.min(end)..end)),
            5 if at < end => {
                let piece = input[at..end].to_vec();
                let to = self.below(input.len());
                input.splice(to..to, piece);
            }
            // The rest of another one.
            _ => {
                let other = self.pick(corpus);
                input.truncate(at);
                input.extend(other.get(at..).unwrap_or(&[]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_differ_and_stay_short() {
        let corpus = [vec![], vec![7; 100], b"abcdef".to_vec()];
        let mut mutator = Mutator::new(3, 64);
        let made: Vec<_> = (0..500).map(|_| mutator.next(&corpus)).collect();
        assert!(made.iter().all(|input| input.len() <= 64));
        let distinct: std::collections::BTreeSet<_> = made.into_iter().collect();
        assert!(distinct.len() > 200, "{}", distinct.len());
    }
}
