//! The nested API as 7.2 and 7.3-rc7 ship it: per-task hooks, the context switch pauses and
//! resumes, and a new task inherits its parent's counters though its first event is a resume, so
//! that its u8 pause count starts at 255 (bec6f41a6fe5).

use super::nested;
use super::{Bug, Context, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::{Hooks, Release};
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "generic-7.2",
    models: "Linux 7.2 as shipped: a new task starts with resume",
    release: Release::V7,
    pauses: Pauses::Counted,
    policy: &Generic72,
};

/// See the file's head.
struct Generic72;

impl Policy for Generic72 {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        nested::enable(cx, nested::hooks(cx, Hooks::Task))
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        nested::disable(cx, nested::hooks(cx, Hooks::Task))
    }
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::pause(cx, nested::hooks(cx, Hooks::Task))
    }
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::resume(cx, nested::hooks(cx, Hooks::Task))
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::arch_flush(cx, nested::hooks(cx, Hooks::Task), Cause::ArchFlush);
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        nested::queues(cx, nested::hooks(cx, Hooks::Task))
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::switch_out(cx, nested::hooks(cx, Hooks::Task))
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::switch_in(cx, nested::hooks(cx, Hooks::Task))
    }
    fn fork(&self, parent: TaskLazy, _: Option<Hooks>) -> TaskLazy {
        TaskLazy {
            warnings: 0,
            ..parent
        }
    }
}
