//! Programs from a fixed seed: a policy leaves what eager leaves, and never costs more.

use super::Mock;
use crate::program::{Op, Trace, run};
use std::vec::Vec;
use std::{format, string::String};

/// xorshift: the same programs every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn op(&mut self, pauses: bool) -> Op {
        let (entry, frame) = (self.roll(64) as u8, self.roll(256) as u8);
        match self.roll(24) {
            0..=3 => Op::Enable,
            4..=6 => Op::Disable,
            7 if pauses => Op::Pause,
            8 if pauses => Op::Resume,
            9 => Op::Clear(entry),
            10 | 11 => Op::GetAndClear(entry),
            12 => Op::WriteProtect(entry),
            13 => Op::ArchFlush,
            14 => Op::TlbFlush,
            15 => Op::Switch,
            16 => Op::Irq(entry),
            _ => Op::Set(entry, frame, self.roll(2) == 0),
        }
    }

    fn program(&mut self, pauses: bool) -> Vec<Op> {
        let length = 1 + self.roll(80);
        (0..length).map(|_| self.op(pauses)).collect()
    }
}

/// Runs each program under eager and `plan`; a BUG ends a comparison.
fn compare(plan: &str, pauses: bool) -> u64 {
    let (eager, other) = (Mock::kernel(1), Mock::kernel(1));
    let mut dice = Dice(0x5eed);
    let mut compared = 0;
    for _ in 0..400 {
        let ops = dice.program(pauses);
        let expected = run(&eager, "policy=eager", &ops).expect("a good plan");
        let got = run(&other, plan, &ops).expect("a good plan");
        if got.bug.is_none() {
            compared += 1;
            assert!(
                agree(&got, &expected),
                "{plan} {ops:?}\n{got:?}\n{expected:?}"
            );
        }
    }
    compared
}

fn agree(got: &Trace, eager: &Trace) -> bool {
    got.wrong == 0
        && eager.wrong == 0
        && (got.promises, got.digest) == (eager.promises, eager.digest)
        && got.traps <= eager.traps
        && got.emulated_writes == eager.emulated_writes
}

#[test]
fn policies_with_pauses_leave_what_eager_leaves() {
    for policy in ["generic", "generic-7.2", "arch-pause", "with-ptes"] {
        for axes in ["", "batch=3", "merge=off", "order=reordering", "hooks=task"] {
            assert_eq!(compare(&format!("policy={policy} {axes}"), true), 400);
        }
    }
}

#[test]
fn older_policies_do_so_too_where_they_survive() {
    for policy in ["legacy-6.1", "legacy-6.12", "local-state-v2", "strip"] {
        let plan: String = format!("policy={policy}");
        assert!(compare(&plan, false) > 20, "{policy}");
    }
}
