//! The s390 variant of the nested API: `arch_pause` and `arch_resume` apart from leave and enter,
//! because the arch state is created from enable's parameters and must survive a pause.

use super::nested;
use super::{Bug, Context, Hint, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::{Hooks, Release};
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "arch-pause",
    models: "s390's variant: arch_pause and arch_resume keep enable's parameters",
    release: Release::V7,
    pauses: Pauses::Counted,
    policy: &ArchPause,
};

/// See the file's head.
struct ArchPause;

/// Sets the arch state aside; the queue must not outlive the section's being current.
fn arch_pause(cx: &Context<'_>, cause: Cause) {
    (cx.flush)(cause);
    cx.task.set(TaskLazy {
        paused: true,
        ..cx.task.get()
    });
}

/// Takes the arch state up again, parameters and all.
fn arch_resume(cx: &Context<'_>) {
    cx.task.set(TaskLazy {
        paused: false,
        ..cx.task.get()
    });
}

impl Policy for ArchPause {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        nested::enable(cx, Hooks::Task)
    }
    fn enable_with_ptes(&self, cx: &Context<'_>, hint: Hint) -> Result<Token, Bug> {
        if !nested::count_enable(cx) {
            return Ok(Token::Nested);
        }
        cx.task.set(TaskLazy {
            hint: Some(hint),
            ..cx.task.get()
        });
        Ok(Token::Default)
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        nested::disable(cx, Hooks::Task)?;
        let task = cx.task.get();
        if task.enable == 0 {
            cx.task.set(TaskLazy { hint: None, ..task });
        }
        Ok(())
    }
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if nested::pause_counted(cx) {
            arch_pause(cx, Cause::Pause);
        }
        Ok(())
    }
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if nested::resume_counted(cx) {
            arch_resume(cx);
        }
        Ok(())
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::arch_flush(cx, Hooks::Task, Cause::ArchFlush);
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        nested::queues(cx, Hooks::Task) && !cx.task.get().paused
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if nested::count_pause(cx) {
            arch_pause(cx, Cause::ContextSwitch);
        }
        Ok(())
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if nested::count_resume(cx) {
            arch_resume(cx);
        }
        Ok(())
    }
    fn fork(&self, _: TaskLazy, _: Option<Hooks>) -> TaskLazy {
        nested::fork(Hooks::Task)
    }
}
