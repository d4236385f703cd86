//! How a guest that does its worst is judged: it ends in time, for the reason it should, and every
//! page's references are right afterwards. And the addresses such guests like.

use hypercalls::DOMID_SELF;
use hypercalls::sched::*;
use std::time::{Duration, Instant};
use tests::chaos::recounted;
use tests::runner::{Checked, Skip};
use tests::tiny::{Tiny, crashed};
use xenlet::kvm::{Ending, Outcome};

pub(crate) const SELF: u64 = DOMID_SELF as u64;

pub(crate) const NOWHERE: u64 = 0x40_0000;

pub(crate) const NOT_CANONICAL: u64 = 0x8000_0000_0000;

/// The hypervisor's slot: its entry page, and the page after it.
pub(crate) const ENTRY: u64 = 0xffff_8080_0000_0000;

/// How long a guest runs that does not end by itself.
pub(crate) const MOMENT: Duration = Duration::from_millis(700);

/// How late the time limit may be on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// Runs it; the counts are right and the end comes in time.
#[track_caller]
pub(crate) fn ended(guest: Tiny, limit: Duration) -> Result<Outcome, Skip> {
    let start = Instant::now();
    let mut outcome = guest.limit(limit).run()?;
    let took = start.elapsed();
    assert!(
        took < limit + SLACK,
        "ended after {took:?}, the limit was {limit:?}"
    );
    if let Err(wrong) = recounted(&mut outcome.domain) {
        panic!("{:?}:\n{wrong}", outcome.ending);
    }
    Ok(outcome)
}

/// It must crash, for the reason given, with a dump.
#[track_caller]
pub(crate) fn must_crash(guest: Tiny, reason: &str) -> Checked {
    let outcome = ended(guest, Duration::from_secs(20))?;
    let dump = crashed(&outcome);
    assert!(
        dump.lines().next().is_some_and(|l| l.contains(reason)),
        "{reason:?}:\n{dump}"
    );
    Ok(())
}

/// It must still run when its time is over.
#[track_caller]
pub(crate) fn must_run_on(guest: Tiny) -> Result<Outcome, Skip> {
    let outcome = ended(guest, MOMENT)?;
    let over = matches!(outcome.ending, Ending::TimeLimit);
    assert!(over, "{:?}", outcome.ending);
    Ok(outcome)
}

#[track_caller]
pub(crate) fn must_power_off(guest: Tiny) -> Result<Outcome, Skip> {
    let outcome = ended(guest, Duration::from_secs(20))?;
    let off = matches!(outcome.ending, Ending::Shutdown(SHUTDOWN_POWEROFF));
    assert!(off, "{:?}", outcome.ending);
    Ok(outcome)
}

/// Bytes of this process that are in memory.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("has one");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

#[track_caller]
pub(crate) fn grew_less_than(mib: u64, before: u64) {
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < mib, "the hypervisor grew by {grown} MiB");
}
