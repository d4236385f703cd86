//! The context-aware proposal (v6, July 2026): `enable_with_ptes` names a range in one page
//! table as a pure hint. Nested ranges are ignored, and resume enters plainly: the hint is lost.

use super::nested;
use super::{Bug, Context, Hint, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::{Hooks, Release};
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "with-ptes",
    models: "v6 of July 2026: enable_with_ptes, a range as a hint",
    release: Release::V7,
    pauses: Pauses::Counted,
    policy: &WithPtes,
};

/// See the file's head.
struct WithPtes;

fn hint(cx: &Context<'_>, hint: Option<Hint>) {
    cx.task.set(TaskLazy {
        hint,
        ..cx.task.get()
    });
}

fn hooks(cx: &Context<'_>) -> Hooks {
    nested::hooks(cx, Hooks::Task)
}

impl Policy for WithPtes {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        nested::enable(cx, hooks(cx))
    }
    fn enable_with_ptes(&self, cx: &Context<'_>, range: Hint) -> Result<Token, Bug> {
        if !nested::count_enable(cx) {
            return Ok(Token::Nested);
        }
        hint(cx, Some(range));
        nested::arch_enter(cx, hooks(cx)).map(|()| Token::Default)
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        nested::disable(cx, hooks(cx))?;
        if cx.task.get().enable == 0 {
            hint(cx, None);
        }
        Ok(())
    }
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::pause(cx, hooks(cx))
    }
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if !cx.in_interrupt {
            hint(cx, None);
        }
        nested::resume(cx, hooks(cx))
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::arch_flush(cx, hooks(cx), Cause::ArchFlush);
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        nested::queues(cx, hooks(cx))
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        nested::switch_out(cx, hooks(cx))
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        hint(cx, None);
        nested::switch_in(cx, hooks(cx))
    }
    fn fork(&self, _: TaskLazy, own: Option<Hooks>) -> TaskLazy {
        nested::fork(own.unwrap_or(Hooks::Task))
    }
}
