//! The merged nested API as it was meant: 7.0's counters over a per-CPU mode that tolerates
//! entering twice (4594437880ce), restored at a context switch by the task's own state.

use super::nested;
use super::{Bug, Context, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::{Hooks, Release};
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "generic",
    models: "the merged nested API (7.0/7.1), as intended",
    release: Release::V7,
    pauses: Pauses::Counted,
    policy: &Generic,
};

/// See the file's head.
struct Generic;

impl Policy for Generic {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        nested::enable(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        nested::disable(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::pause(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::resume(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::arch_flush(cx, nested::hooks(cx, Hooks::Cpu), Cause::ArchFlush);
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        nested::queues(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::switch_out(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::switch_in(cx, nested::hooks(cx, Hooks::Cpu))
    }
    fn fork(&self, _: TaskLazy, own: Option<Hooks>) -> TaskLazy {
        nested::fork(own.unwrap_or(Hooks::Cpu))
    }
}
