//! The state tables, row by row, each policy against a queue that only notes its flushes.

use super::xen::{BUG_ENTER, BUG_LEAVE};
use super::{Bug, Context, CpuLazy, Hint, Mode, Policy, TABLE, TaskLazy, Token};
use crate::config::{Config, Hooks};
use core::cell::{Cell, RefCell};
use hypercalls::Vaddr;
use hypercalls::lab::Cause;
use std::vec::Vec;

/// One CPU, one task.
struct Bench {
    policy: &'static dyn Policy,
    task: Cell<TaskLazy>,
    cpu: Cell<CpuLazy>,
    interrupt: Cell<bool>,
    hooks: Cell<Option<Hooks>>,
    flushes: RefCell<Vec<Cause>>,
}

fn bench(name: &str) -> Bench {
    Bench {
        policy: TABLE
            .iter()
            .find(|p| p.name == name)
            .expect("a policy")
            .policy,
        task: Cell::default(),
        cpu: Cell::default(),
        interrupt: Cell::new(false),
        hooks: Cell::new(None),
        flushes: RefCell::default(),
    }
}

impl Bench {
    fn on<R>(&self, f: impl FnOnce(&dyn Policy, &Context<'_>) -> R) -> R {
        let cx = Context {
            task: &self.task,
            cpu: &self.cpu,
            in_interrupt: self.interrupt.get(),
            config: Config {
                hooks: self.hooks.get(),
                ..Config::LINUX
            },
            flush: &|cause| self.flushes.borrow_mut().push(cause),
            window: &|| {},
        };
        f(self.policy, &cx)
    }
    fn enable(&self) -> Result<Token, Bug> {
        self.on(|p, cx| p.enable(cx))
    }
    fn disable(&self, token: Token) -> Result<(), Bug> {
        self.on(|p, cx| p.disable(cx, token))
    }
    fn pause(&self) -> Result<(), Bug> {
        self.on(|p, cx| p.pause(cx))
    }
    fn resume(&self) -> Result<(), Bug> {
        self.on(|p, cx| p.resume(cx))
    }
    fn arch_flush(&self) -> Result<(), Bug> {
        self.on(|p, cx| p.arch_flush(cx))
    }
    fn switch(&self) -> Result<(), Bug> {
        self.on(|p, cx| p.switch_out(cx).and(p.switch_in(cx)))
    }
    fn queues(&self) -> bool {
        self.on(|p, cx| p.queues(cx))
    }
    fn flushes(&self) -> Vec<Cause> {
        self.flushes.take()
    }
    fn counts(&self) -> (u8, u8) {
        (self.task.get().enable, self.task.get().pause)
    }
}

#[test]
fn eager_never_queues() {
    let b = bench("eager");
    let token = b.enable().expect("no BUG");
    assert!(!b.queues());
    assert_eq!(
        (b.disable(token), b.switch(), b.arch_flush()),
        (Ok(()), Ok(()), Ok(()))
    );
    assert!(b.flushes().is_empty());
}

#[test]
fn legacy_mode_none() {
    for name in ["legacy-6.1", "legacy-6.12"] {
        let b = bench(name);
        assert_eq!((b.arch_flush(), b.flushes()), (Ok(()), Vec::new()));
        assert_eq!(b.disable(Token::Default), Err(BUG_LEAVE));
        assert_eq!(b.flushes(), [Cause::Disable]);
        assert!(b.enable().is_ok() && b.queues());
        assert!(b.flushes().is_empty());
        assert_eq!(b.disable(Token::Default), Ok(()));
        assert!(!b.queues());
    }
}

#[test]
fn legacy_switch_and_interrupt() {
    for name in ["legacy-6.1", "legacy-6.12", "local-state-v2"] {
        let b = bench(name);
        assert!(b.enable().is_ok());
        assert_eq!(
            (b.switch(), b.flushes()),
            (Ok(()), Vec::from([Cause::ContextSwitch]))
        );
        assert!(b.queues() && !b.task.get().flag);
        b.interrupt.set(true);
        assert!(!b.queues());
        assert_eq!((b.arch_flush(), b.flushes()), (Ok(()), Vec::new()));
        b.interrupt.set(false);
        assert_eq!(
            (b.arch_flush(), b.flushes()),
            (Ok(()), Vec::from([Cause::ArchFlush]))
        );
        assert!(b.queues());
    }
}

#[test]
fn legacy_6_1_does_not_nest() {
    let b = bench("legacy-6.1");
    assert!(b.enable().is_ok());
    assert_eq!(b.enable(), Err(BUG_ENTER));
}

#[test]
fn legacy_6_1_enter_in_interrupt_reads_the_raw_mode() {
    let b = bench("legacy-6.1");
    assert!(b.enable().is_ok());
    b.interrupt.set(true);
    assert_eq!(b.enable(), Err(BUG_ENTER));
}

#[test]
fn legacy_6_12_nests_and_dies_at_a_switch() {
    let b = bench("legacy-6.12");
    assert!(b.enable().is_ok() && b.enable().is_ok());
    assert_eq!(
        b.cpu.get(),
        CpuLazy {
            mode: Mode::Mmu,
            nesting: 1
        }
    );
    assert_eq!(b.disable(Token::Default), Ok(()));
    assert!(b.queues());
    assert_eq!(b.flushes(), [Cause::NestedDisable]);
    assert!(b.enable().is_ok());
    assert_eq!(b.switch(), Err(BUG_ENTER));
}

#[test]
fn v2_returns_a_state_and_takes_it() {
    let b = bench("local-state-v2");
    assert_eq!(
        (b.enable(), b.enable()),
        (Ok(Token::Default), Ok(Token::Nested))
    );
    assert_eq!(b.disable(Token::Nested), Ok(()));
    assert!(b.queues());
    assert_eq!(b.enable(), Ok(Token::Nested));
    assert_eq!(b.disable(Token::Default), Ok(()));
    assert!(!b.queues(), "off whatever the depth");
    assert_eq!(b.disable(Token::Nested), Err(BUG_LEAVE));
}

#[test]
fn v2_pauses_by_leaving() {
    let b = bench("local-state-v2");
    assert_eq!(b.pause(), Err(BUG_LEAVE));
    assert!(b.enable().is_ok());
    assert_eq!(b.pause(), Ok(()));
    assert!(!b.queues());
    assert_eq!((b.resume(), b.queues()), (Ok(()), true));
}

#[test]
fn nested_counts_and_flushes() {
    for name in ["generic", "generic-7.2", "arch-pause", "with-ptes"] {
        let b = bench(name);
        assert!(b.enable().is_ok() && b.enable().is_ok());
        assert_eq!((b.counts(), b.flushes()), ((2, 0), Vec::new()));
        assert_eq!(b.disable(Token::Nested), Ok(()));
        assert_eq!(
            (b.queues(), b.flushes()),
            (true, Vec::from([Cause::NestedDisable]))
        );
        assert_eq!((b.pause(), b.queues()), (Ok(()), false));
        assert_eq!(b.flushes(), [Cause::Pause]);
        assert!(b.enable().is_ok() && b.disable(Token::Default).is_ok());
        assert_eq!(
            (b.counts(), b.flushes()),
            ((1, 1), Vec::new()),
            "ignored while paused"
        );
        assert_eq!((b.resume(), b.queues()), (Ok(()), true));
        assert_eq!((b.disable(Token::Default), b.queues()), (Ok(()), false));
        assert_eq!(b.flushes(), [Cause::Disable]);
    }
}

#[test]
fn nested_ignores_interrupts() {
    for name in ["generic", "generic-7.2", "arch-pause", "with-ptes"] {
        let b = bench(name);
        b.interrupt.set(true);
        assert!(b.enable().is_ok() && b.pause().is_ok() && b.resume().is_ok());
        assert!(b.disable(Token::Default).is_ok());
        assert_eq!((b.counts(), b.queues()), ((0, 0), false));
        assert!(b.flushes().is_empty());
    }
}

#[test]
fn nested_warns_and_wraps() {
    let b = bench("generic");
    (0..256).for_each(|_| assert!(b.enable().is_ok()));
    assert_eq!((b.counts(), b.task.get().warnings), ((0, 0), 1));
    assert_eq!(b.disable(Token::Default), Ok(()));
    assert_eq!(
        (b.counts(), b.flushes()),
        ((255, 0), Vec::from([Cause::NestedDisable]))
    );
    let b = bench("generic");
    assert_eq!(b.resume(), Ok(()));
    assert_eq!((b.counts(), b.task.get().warnings), ((0, 255), 1));
    assert_eq!(b.pause(), Ok(()));
    assert_eq!((b.counts(), b.task.get().warnings), ((0, 0), 2));
}

#[test]
fn nested_unbalanced_across_a_pause() {
    let b = bench("generic");
    assert!(b.enable().is_ok() && b.pause().is_ok());
    assert!(b.disable(Token::Default).is_ok() && b.resume().is_ok());
    assert_eq!((b.counts(), b.queues()), ((1, 0), true), "leaks");
    let b = bench("generic");
    assert!(b.pause().is_ok() && b.enable().is_ok() && b.resume().is_ok());
    assert!(b.disable(Token::Default).is_ok());
    assert_eq!(b.counts().0, 255, "underflows");
}

#[test]
fn hooks_of_each_release() {
    for hooks in [Hooks::CpuStrict, Hooks::Cpu, Hooks::Task] {
        let b = bench("generic");
        b.hooks.set(Some(hooks));
        assert!(b.enable().is_ok());
        assert_eq!((b.switch(), b.queues()), (Ok(()), true));
        assert_eq!(b.flushes(), [Cause::ContextSwitch]);
        b.interrupt.set(true);
        assert_eq!(b.arch_flush(), Ok(()));
        assert_eq!(b.flushes().len(), usize::from(hooks == Hooks::Task));
    }
}

#[test]
fn a_new_task_under_7_2_starts_with_resume() {
    let (shipped, meant) = (bench("generic-7.2"), bench("with-ptes"));
    for (b, pause) in [(&shipped, 255), (&meant, 0)] {
        b.task.set(b.policy.fork(TaskLazy::default(), None));
        assert!(b.on(|p, cx| p.switch_in(cx)).is_ok());
        assert_eq!(b.counts(), (0, pause));
        assert!(b.enable().is_ok());
        assert_eq!(b.queues(), pause == 0);
    }
}

#[test]
fn strip_ends_batching_at_any_leave() {
    let b = bench("strip");
    assert!(b.enable().is_ok() && b.enable().is_ok());
    assert_eq!(
        (b.switch(), b.flushes()),
        (Ok(()), Vec::from([Cause::ContextSwitch]))
    );
    assert_eq!(b.disable(Token::Nested), Ok(()));
    assert!(!b.queues());
    assert_eq!(b.disable(Token::Default), Ok(()));
    assert_eq!(b.flushes(), [Cause::NestedDisable, Cause::Disable]);
}

const FIRST: Hint = Hint {
    start: Vaddr(0x1000),
    end: Vaddr(0x3000),
};
const OTHER: Hint = Hint {
    start: Vaddr(0x8000),
    end: Vaddr(0x9000),
};

fn hinted(b: &Bench, hint: Hint) -> Option<Hint> {
    assert!(b.on(|p, cx| p.enable_with_ptes(cx, hint)).is_ok());
    b.task.get().hint
}

#[test]
fn the_first_range_counts_and_resume_loses_it() {
    let b = bench("with-ptes");
    assert_eq!(hinted(&b, FIRST), Some(FIRST));
    assert_eq!(hinted(&b, OTHER), Some(FIRST), "nested: ignored");
    assert!(b.disable(Token::Nested).is_ok());
    assert!(b.pause().is_ok());
    assert_eq!(hinted(&b, OTHER), Some(FIRST), "paused: ignored");
    assert!(b.resume().is_ok());
    assert_eq!((b.task.get().hint, b.queues()), (None, true));
    assert!(b.disable(Token::Default).is_ok());
    assert_eq!(b.counts(), (0, 0));
}

#[test]
fn arch_pause_keeps_the_parameters() {
    let b = bench("arch-pause");
    assert_eq!(hinted(&b, FIRST), Some(FIRST));
    assert!(b.pause().is_ok());
    assert_eq!((b.task.get().hint, b.queues()), (Some(FIRST), false));
    assert!(b.resume().is_ok() && b.switch().is_ok());
    assert_eq!((b.task.get().hint, b.queues()), (Some(FIRST), true));
    assert!(b.disable(Token::Default).is_ok());
    assert_eq!(b.task.get().hint, None);
}
