//! Fuzzing without a fuzzer: the targets of [`tests::fuzz`] on the inputs that are kept and on
//! mutations of them, and random hypercall sequences, valid and hostile, every page's references
//! recounted after each step.
//!
//! Runs for `XENLET_FUZZ_SECONDS` (default 20) in all, from `XENLET_FUZZ_SEED` (default 0): half of
//! it sequences. A sequence that fails names its seed and the shortest one found that still fails;
//! an input that fails is printed. libFuzzer runs the same targets: see `tests/fuzz`.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::chaos::{Step, Tally, sequence, steps};
use tests::fuzz::mutate::Mutator;
use tests::fuzz::sequences::TOTAL;
use tests::fuzz::{TARGETS, Target};
use tests::runner::{Check, Checked, PATIENCE, main as run};

/// What the targets ask how much memory was used.
#[global_allocator]
static PEAK: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Sequences from one seed.
const CASES: u32 = 16;
/// Steps of a sequence, at most.
const STEPS: usize = 60;

fn main() -> ExitCode {
    let mut checks = Vec::new();
    for target in TARGETS {
        let name = target.name;
        checks.push(Check::new(format!("corpus/{name}"), move || corpus(target)));
        let mutated = Check::new(format!("mutations/{name}"), move || mutations(target));
        checks.push(mutated.within(PATIENCE + time()));
    }
    for cpus in [1, 2] {
        let name = format!("hypercall_sequences/{cpus}_vcpu");
        let check = Check::new(name, move || hypercall_sequences(cpus));
        checks.push(check.within(PATIENCE + time()));
    }
    let code = run(checks);
    total();
    code
}

/// How long all of it runs.
fn time() -> Duration {
    Duration::from_secs(setting("XENLET_FUZZ_SECONDS", 20))
}

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |s| {
        s.parse()
            .unwrap_or_else(|_| panic!("{name}={s} is no number"))
    })
}

/// What all checks did to domains, if any did.
fn total() {
    let total = TOTAL.lock().expect("no check panics with it");
    if total.recounts != 0 {
        println!(
            "fuzz, in all: {} hypercalls ({} in multicalls) and {} traps in sequences, {} recounts",
            total.hypercalls, total.carried, total.traps, total.recounts
        );
    }
}

fn corpus(target: Target) -> Checked {
    for (path, input) in target.corpus() {
        tried(target, &input, &path.display().to_string());
    }
    Ok(())
}

fn mutations(target: Target) -> Checked {
    let time = time() / 2 / TARGETS.len() as u32;
    let first = setting("XENLET_FUZZ_SEED", 0);
    let inputs: Vec<Vec<u8>> = target
        .corpus()
        .into_iter()
        .map(|(_, input)| input)
        .collect();
    let mut mutator = Mutator::new(first, target.longest);
    let (start, mut runs) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        tried(target, &mutator.next(&inputs), "a mutation");
        runs += 1;
    }
    println!(
        "fuzz, {}: {runs} mutations of {} inputs",
        target.name,
        inputs.len()
    );
    Ok(())
}

/// Runs an input; one that fails is shown.
fn tried(target: Target, input: &[u8], what: &str) {
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if let Err(panicked) = result {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!(
            "{}: {what} fails, {} bytes: {hex}",
            target.name,
            input.len()
        );
        panic::resume_unwind(panicked);
    }
}

fn hypercall_sequences(cpus: usize) -> Checked {
    let time = time() / 4;
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
    let tally = tally.into_inner();
    let Tally {
        hypercalls,
        carried,
        traps,
        recounts,
        ended,
    } = tally;
    println!(
        "fuzz, {cpus} vCPU: {hypercalls} hypercalls ({carried} in multicalls) and {traps} traps, \
         {recounts} recounts, {ended} ends, seeds {first}..{seed}: 0 panics, 0 recount errors"
    );
    *TOTAL.lock().expect("no check panics with it") += tally;
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
