//! The userland battery: what programs rely on, each thing checked under load.
//!
//! Owns THE table of checks and the way they are run: each in a process of its own, with a time
//! limit, so that one that crashes or hangs fails alone. Comes in: names, none for all. Goes out: on
//! stdout, a line a check: `battery NAME ok|failed WHY|skipped WHY MILLIS`.

mod clock;
mod digest;
mod exceptions;
mod fork;
mod fpu;
mod futex;
mod ia32;
mod ldt;
mod mappings;
mod outcome;
mod pipes;
mod protect;
mod python;
mod signals;
mod sockets;
mod supervise;
mod threads;
mod timer;

use outcome::{Outcome, Verdict};
use std::time::Instant;

/// One thing that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name: one word.
    pub name: &'static str,
    run: fn() -> Outcome,
}

/// The check of x87 registers in 32-bit code, which there are not where KVM emulates it.
pub const IA32_FPU: &str = "ia32_fpu";

/// All checks, in the order they run.
pub const CHECKS: [Check; 17] = [
    check("clock", clock::check),
    check("mappings", mappings::check),
    check("threads", threads::check),
    check("fpu", fpu::check),
    check("fork", fork::check),
    check("protect", protect::check),
    check("signals", signals::check),
    check("exceptions", exceptions::check),
    check("futex", futex::check),
    check("sockets", sockets::check),
    check("pipes", pipes::check),
    check("sha256", digest::check),
    check("ldt", ldt::check),
    check("ia32", ia32::check),
    check("ia32_tls", ia32::check_tls),
    check(IA32_FPU, ia32::check_fpu),
    check("python", python::check),
];

const fn check(name: &'static str, run: fn() -> Outcome) -> Check {
    Check { name, run }
}

/// Runs the named checks, or all.
pub fn run(names: &[String]) {
    for unknown in names.iter().filter(|name| find(name).is_none()) {
        println!("battery {unknown} failed there is no such check 0");
    }
    let wanted = |check: &&Check| names.is_empty() || names.iter().any(|n| n == check.name);
    for check in CHECKS.iter().filter(wanted) {
        let started = Instant::now();
        let verdict = supervise::run(check.name);
        let millis = started.elapsed().as_millis();
        println!("battery {} {verdict} {millis}", check.name);
    }
}

/// Runs one check in this process and prints its verdict, for the battery to read.
pub fn check_here(name: &str) {
    let outcome = find(name).map(|check| (check.run)());
    let verdict = outcome.map_or(
        Verdict::Failed("there is no such check".into()),
        Verdict::of,
    );
    println!("{verdict}");
}

fn find(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}
