//! The policies as the exploration takes them, and what it finds.

use super::super::xen::BUG_ENTER;
use super::DEPTH;
use super::world::{
    Call::{Enable, IrqSection},
    Visit,
};
use crate::config::Hooks;
use std::println;

/// What a policy's kernel can do, and what it is held to.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) hooks: Option<Hooks>,
    /// A section always queues.
    pub(super) batches: bool,
    /// How deep sections may nest.
    pub(super) depth: usize,
    /// How deep they may be at a switch.
    pub(super) switch_depth: usize,
    /// Where it can be paused.
    pub(super) pauses: Pauses,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pauses {
    Anywhere,
    InSections,
    Nowhere,
}

const NESTED: Subject = Subject {
    name: "generic",
    hooks: None,
    batches: true,
    depth: DEPTH,
    switch_depth: DEPTH,
    pauses: Pauses::Anywhere,
};

const OLDER: Subject = Subject {
    pauses: Pauses::Nowhere,
    ..NESTED
};

/// What is explored: each policy, and those that can have other hooks with them too.
fn subjects() -> [Subject; 11] {
    let of = |name, subject: Subject| Subject { name, ..subject };
    let hooks = |name, hooks| Subject {
        name,
        hooks: Some(hooks),
        ..NESTED
    };
    let never_batches = |name, subject: Subject| Subject {
        name,
        batches: false,
        ..subject
    };
    [
        of("generic", NESTED),
        hooks("generic", Hooks::Task),
        of("arch-pause", NESTED),
        of("with-ptes", NESTED),
        hooks("with-ptes", Hooks::Cpu),
        never_batches("generic-7.2", NESTED),
        never_batches("eager", NESTED),
        never_batches("strip", OLDER),
        Subject {
            pauses: Pauses::InSections,
            ..of("local-state-v2", NESTED)
        },
        Subject {
            switch_depth: 1,
            ..of("legacy-6.12", OLDER)
        },
        Subject {
            depth: 1,
            ..of("legacy-6.1", OLDER)
        },
    ]
}

#[test]
fn every_policy_survives_preemption_at_every_step() {
    for subject in subjects() {
        let states = subject.explore();
        println!("{}: {states:?} states", subject.name);
        assert!(
            states.as_ref().is_ok_and(|n| *n > 3),
            "{}: {states:?}",
            subject.name
        );
    }
}

#[test]
fn no_policy_is_left_out() {
    let explored = subjects().map(|s| s.name);
    for policy in crate::policies() {
        assert!(explored.contains(&policy.name), "{}", policy.name);
    }
}

/// 6.1: an interrupt that enters finds the mode of whom it interrupts.
#[test]
fn legacy_6_1_dies_of_an_interrupts_section() {
    let careless = Subject {
        name: "legacy-6.1",
        ..OLDER
    };
    let mut state = careless.start();
    state = careless.step(&state, Enable, None).expect("it enters");
    let bug = careless.step(&state, IrqSection, None);
    assert_eq!(bug.err().as_deref(), Some(BUG_ENTER.name));
}

/// 7.0: preempted between the count and the hook, the mode is already taken (291b3abed657).
#[test]
fn hooks_of_7_0_die_in_their_first_window() {
    let strict = Subject {
        hooks: Some(Hooks::CpuStrict),
        ..NESTED
    };
    let (path, bug) = strict.explore().expect_err("it dies");
    assert_eq!(bug, BUG_ENTER.name);
    assert_eq!(path, [(Enable, Some(Visit::Looks))]);
}

/// 6.12: a switch leaves once, and finds the mode still on at depth 2 (49147beb0ccb).
#[test]
fn legacy_6_12_dies_at_a_switch_at_depth_2() {
    let deep = Subject {
        name: "legacy-6.12",
        ..OLDER
    };
    let (path, bug) = deep.explore().expect_err("it dies");
    assert_eq!(bug, BUG_ENTER.name);
    assert_eq!(path.len(), 2, "{path:?}");
}
