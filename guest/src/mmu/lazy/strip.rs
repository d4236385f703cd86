//! Nesting as powerpc and arm64 once had it: one flag a task, and any leave clears it, so an inner
//! section ends batching for the rest of the outer one (47b8def9358c, 1ef3095b1405).

use super::{Bug, Context, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::Release;
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "strip",
    models: "powerpc's and arm64's legacy: an inner leave ends batching",
    release: Release::V7,
    pauses: Pauses::None,
    policy: &Strip,
};

/// See the file's head.
struct Strip;

fn set(cx: &Context<'_>, flag: bool) {
    cx.task.set(TaskLazy {
        flag,
        ..cx.task.get()
    });
}

impl Policy for Strip {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        if cx.in_interrupt {
            return Ok(Token::Nested);
        }
        let nested = cx.task.get().flag;
        set(cx, true);
        Ok(if nested {
            Token::Nested
        } else {
            Token::Default
        })
    }
    fn disable(&self, cx: &Context<'_>, token: Token) -> Result<(), Bug> {
        if !cx.in_interrupt {
            let nested = token == Token::Nested;
            (cx.flush)(if nested {
                Cause::NestedDisable
            } else {
                Cause::Disable
            });
            set(cx, false);
        }
        Ok(())
    }
    fn pause(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn resume(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if self.queues(cx) {
            (cx.flush)(Cause::ArchFlush);
        }
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        !cx.in_interrupt && cx.task.get().flag
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if cx.task.get().flag {
            (cx.flush)(Cause::ContextSwitch);
        }
        Ok(())
    }
    fn switch_in(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
}
