//! Random hypercall sequences, valid and hostile, on the dispatch alone: every page's references
//! recounted after each step. Runs for `XENLET_FUZZ_SECONDS` (default 15) from `XENLET_FUZZ_SEED`
//! (default 0); a failure names its seed and the shortest sequence found that still fails.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::chaos::{Step, Tally, sequence, steps};
use tests::runner::{Check, Checked, PATIENCE, main as run};

/// Sequences from one seed.
const CASES: u32 = 16;
/// Steps of a sequence, at most.
const STEPS: usize = 60;

fn main() -> ExitCode {
    let checks = [
        Check::new("hypercall_sequences/1_vcpu", || hypercall_sequences(1)),
        Check::new("hypercall_sequences/2_vcpus", || hypercall_sequences(2)),
    ];
    run(checks.map(|c| c.within(PATIENCE + time())).into())
}

/// How long the sequences of each number of vCPUs are tried.
fn time() -> Duration {
    Duration::from_secs(setting("XENLET_FUZZ_SECONDS", 15)) / 2
}

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |s| {
        s.parse()
            .unwrap_or_else(|_| panic!("{name}={s} is no number"))
    })
}

fn hypercall_sequences(cpus: usize) -> Checked {
    let time = time();
    let first = setting("XENLET_FUZZ_SEED", 0);
    let start = Instant::now();
    let tally = RefCell::new(Tally::default());
    let mut seed = first;
    while start.elapsed() < time {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes(seed));
        let found = TestRunner::new_with_rng(config, rng).run(&steps(STEPS), |steps| {
            let done = sequence(cpus, &steps, &mut tally.borrow_mut());
            done.map_err(TestCaseError::fail)
        });
        if let Err(e) = found {
            panic!("XENLET_FUZZ_SEED={seed}: {}", told(&e));
        }
        seed += 1;
    }
    let Tally {
        hypercalls,
        traps,
        recounts,
        ended,
    } = tally.into_inner();
    println!(
        "fuzz, {cpus} vCPU: {hypercalls} hypercalls and {traps} traps, {recounts} recounts, \
         {ended} ends, seeds {first}..{seed}: 0 panics, 0 recount errors"
    );
    Ok(())
}

/// A step a line: what is left after shrinking is short.
fn told(e: &TestError<Vec<Step>>) -> String {
    match e {
        TestError::Abort(why) => why.to_string(),
        TestError::Fail(why, steps) => {
            let lines: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
            format!("{why}\n{}", lines.join("\n"))
        }
    }
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
