//! The equivalence property: under every policy a program leaves the page tables that eager
//! leaves, wherever the API promises that they are visible, and never costs more traps. A seed
//! makes the programs; one that fails is shrunk to Rust that can be pasted below.

use guest::program::Op::{self, *};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use tests::program::{Bench, Program, SUBJECTS, Subject};
use tests::runner::{self, Check};

/// Programs, unless `XENLET_PROGRAMS` says otherwise.
const PROGRAMS: u32 = 10_000;
/// The seed, unless `XENLET_SEED` does.
const SEED: u64 = 0x7ee8_48b2;
/// Each has a machine of its own and its share of the programs.
const THREADS: u32 = 2;
/// However many programs are asked for.
const LONG: Duration = Duration::from_secs(6 * 3600);

fn main() -> ExitCode {
    runner::main(vec![
        check_of("every_policy_leaves_what_eager_leaves", equivalence),
        check_of("a_failure_shrinks_to_a_short_program", shrinking),
        check_of("programs_that_once_failed", regressions),
        check_of("no_policy_is_left_out", no_policy_is_left_out),
    ])
}

fn check_of(name: &str, f: fn()) -> Check {
    Check::new(name, move || {
        f();
        Ok(())
    })
    .within(LONG)
}

/// Runs one program under every policy.
fn check(axes: &str, ops: &[Op]) {
    let program = Program {
        axes: axes.to_owned(),
        ops: ops.to_vec(),
    };
    if let Err(wrong) = Bench::new().check(&program, &SUBJECTS) {
        panic!("{program:?}: {wrong}");
    }
}

/// A policy that nothing is held against would pass unseen.
fn no_policy_is_left_out() {
    let held = SUBJECTS.map(|s| s.policy);
    for policy in guest::policies().iter().filter(|p| p.name != "eager") {
        assert!(held.contains(&policy.name), "{}", policy.name);
    }
}

fn regressions() {
    check("", &[]);
    // Three entries a batch: the buffer is full at the fourth write.
    let writes = [Set(0, 0, true), Set(1, 1, true), Set(2, 2, false), Clear(0)];
    check("batch=3", &[&[Enable], &writes[..], &[Disable]].concat());
    // A section inside a pause, preempted, beside another task's open section.
    let inner = [Enable, Set(1, 2, true), Pause, Enable, Clear(1), Switch];
    let outer = [Task(1), EnableWithPtes, Set(2, 1, true), Task(0), Disable];
    check("merge=off", &[&inner[..], &outer].concat());
    // With bottom halves off a commit goes through the full buffer, and is visible at once.
    let full = [Enable, Set(0, 0, false), Set(6, 0, false)];
    check("batch=2", &[&full[..], &[BhDisable, Commit(1)]].concat());
    // A write and a commit of one entry in a batch that is issued backwards.
    check("order=reordering", &[Enable, Set(0, 1, true), Commit(0)]);
}

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|e| panic!("{variable}={text}: {e}"))
}

/// A source of programs that only the seed and the thread decide.
fn source(seed: u64, thread: u32, programs: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&thread.to_le_bytes());
    let config = Config {
        cases: programs,
        failure_persistence: None,
        max_shrink_iters: 50_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Runs a share of the programs: how many runs, or the shortest program that fails and why.
fn share(mut source: TestRunner, subjects: &[Subject]) -> Result<u64, (Program, String)> {
    let bench = RefCell::new(Bench::new());
    let held = source.run(&program(), |program| {
        let held = bench.borrow_mut().check(&program, subjects);
        held.map_err(TestCaseError::fail)
    });
    match held {
        Ok(()) => Ok(bench.borrow().runs),
        Err(TestError::Fail(why, program)) => Err((program, why.message().to_owned())),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn equivalence() {
    let programs = number("XENLET_PROGRAMS", u64::from(PROGRAMS)) as u32;
    let seed = number("XENLET_SEED", SEED);
    println!(
        "seed {seed:#x}: {programs} programs x {} policies",
        SUBJECTS.len()
    );
    let shares = thread::scope(|scope| {
        let share = |n| {
            let programs = programs / THREADS + u32::from(n < programs % THREADS);
            scope.spawn(move || share(source(seed, n, programs), &SUBJECTS))
        };
        let threads: Vec<_> = (0..THREADS).map(share).collect();
        let joined = threads.into_iter().map(|t| t.join().expect("no panic"));
        joined.collect::<Vec<_>>()
    });
    let mut runs = 0;
    for share in shares {
        match share {
            Ok(n) => runs += n,
            Err((program, why)) => panic!("seed {seed:#x}: {why}\n\n    {program:?};\n"),
        }
    }
    println!("seed {seed:#x}: {programs} programs held, {runs} runs");
}

/// What strip is known for: an inner leave ends batching.
fn shrinking() {
    let mut strict = Subject::of("strip").expect("a subject");
    strict.batches = true;
    let (program, why) = share(source(SEED, 0, PROGRAMS), &[strict]).expect_err("strip loses it");
    assert!(why.contains("not queued"), "{why}");
    let text = format!("{program:?}");
    assert_eq!(program.ops.len(), 3, "{text}");
    assert!(text.starts_with("check(\"\", &[Enable"), "{text}");
    assert!(text.ends_with(", Disable])"), "{text}");
}

fn program() -> impl Strategy<Value = Program> {
    let ops = vec(
        prop_oneof![9 => op().prop_map(|op| vec![op]), 1 => burst()],
        1..60,
    );
    (axes(), ops).prop_map(|(axes, ops)| Program {
        axes,
        ops: ops.concat(),
    })
}

/// Linux's values first: that is where shrinking goes.
fn axes() -> impl Strategy<Value = String> {
    let words = (
        one_of(["", "batch=1", "batch=2", "batch=3", "batch=7", "batch=64"]),
        one_of(["", "merge=off"]),
        one_of(["", "order=reordering"]),
        one_of(["", "rmw=immediate", "rmw=queued"]),
        one_of(["", "cpu-lazy=off"]),
        one_of(["", "hooks=cpu", "hooks=task"]),
    );
    words.prop_map(|(a, b, c, d, e, f)| {
        let words = [a, b, c, d, e, f].into_iter().filter(|w| !w.is_empty());
        words.collect::<Vec<_>>().join(" ")
    })
}

fn one_of<const N: usize>(words: [&'static str; N]) -> impl Strategy<Value = &'static str> {
    (0..N).prop_map(move |i| words[i])
}

fn entry() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0u8..8, 1 => 0u8..64]
}

fn set() -> impl Strategy<Value = Op> {
    (entry(), 0u8..16, any::<bool>()).prop_map(|(entry, frame, rw)| Set(entry, frame, rw))
}

/// Enough writes to fill Linux's buffer.
fn burst() -> impl Strategy<Value = Vec<Op>> {
    vec(set(), 1..40)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => set(),
        4 => Just(Enable),
        1 => Just(EnableWithPtes),
        4 => Just(Disable),
        2 => Just(Pause),
        2 => Just(Resume),
        1 => Just(BhDisable),
        2 => Just(BhEnable),
        2 => entry().prop_map(Commit),
        1 => entry().prop_map(Clear),
        2 => entry().prop_map(GetAndClear),
        1 => entry().prop_map(WriteProtect),
        1 => Just(ArchFlush),
        1 => Just(TlbFlush),
        1 => Just(Switch),
        2 => Just(Window),
        2 => (0u8..3).prop_map(Task),
        1 => entry().prop_map(Irq),
        1 => Just(IrqFlush),
        1 => entry().prop_map(IrqSection),
    ]
}
