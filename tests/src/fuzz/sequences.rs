//! Sequences of hypercalls and traps, recounted after each: the steps of [`crate::chaos`], chosen by
//! the fuzzer's bytes instead of a random generator's.
//!
//! The first byte of an input says how many vCPUs there are; each [`STEP`] bytes after it are one
//! step, the seed of what the step's strategy draws. So a fuzzer that moves, repeats or replaces
//! them moves, repeats or replaces steps. (Bytes drawn from directly would be better still, but a
//! strategy gives half of what is left to each alternative that it does not take.)

use crate::chaos::{Step, Tally, generate, sequence};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Mutex;

/// Bytes of a step.
pub const STEP: usize = 8;
/// Steps looked at.
const STEPS: usize = 64;
/// Bytes looked at.
pub const LONGEST: usize = 1 + STEPS * STEP;

/// What this process did in all.
pub static TOTAL: Mutex<Tally> = Mutex::new(Tally::NONE);

thread_local! {
    /// Made once: that takes longer than drawing from it.
    static STRATEGY: BoxedStrategy<Step> = generate::step().boxed();
}

/// The target.
///
/// # Panics
/// If something does not hold.
pub fn sequences(input: &[u8]) {
    let Some((&cpus, rest)) = input[..input.len().min(LONGEST)].split_first() else {
        return;
    };
    let steps: Vec<Step> = rest.chunks(STEP).filter_map(step).collect();
    let mut tally = Tally::default();
    let done = sequence(1 + usize::from(cpus & 1), &steps, &mut tally);
    if let Err(wrong) = done {
        panic!("{wrong}\n{steps:#?}");
    }
    if let Ok(mut total) = TOTAL.lock() {
        *total += tally;
    }
}

/// The step that these bytes choose.
fn step(bytes: &[u8]) -> Option<Step> {
    let mut seed = [0; 32];
    seed[..bytes.len()].copy_from_slice(bytes);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = STRATEGY.with(|step| step.new_tree(&mut runner)).ok()?;
    Some(tree.current())
}
