//! The proposal of September 2025 (v2), never merged: enter returns the state that leave takes.

use super::xen::{self, mode, raw};
use super::{Bug, Context, Mode, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::Release;
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "local-state-v2",
    models: "v2 of September 2025: enter returns a state, leave takes it",
    release: Release::V7,
    pauses: Pauses::LeaveEnter,
    policy: &LocalState,
};

/// See the file's head.
struct LocalState;

fn enter(cx: &Context<'_>) -> Token {
    if raw(cx) == Mode::Mmu {
        return Token::Nested;
    }
    xen::set(cx, Mode::Mmu);
    Token::Default
}

fn leave(cx: &Context<'_>, token: Token, cause: Cause) -> Result<(), Bug> {
    (cx.flush)(cause);
    if raw(cx) != Mode::Mmu {
        return Err(xen::BUG_LEAVE);
    }
    if token == Token::Default {
        xen::set(cx, Mode::None);
    }
    Ok(())
}

impl Policy for LocalState {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        Ok(enter(cx))
    }
    fn disable(&self, cx: &Context<'_>, token: Token) -> Result<(), Bug> {
        let nested = token == Token::Nested;
        leave(
            cx,
            token,
            if nested {
                Cause::NestedDisable
            } else {
                Cause::Disable
            },
        )
    }
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug> {
        leave(cx, Token::Default, Cause::Pause)
    }
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug> {
        enter(cx);
        Ok(())
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if mode(cx) == Mode::Mmu {
            leave(cx, Token::Default, Cause::ArchFlush)?;
            enter(cx);
        }
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        mode(cx) == Mode::Mmu
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if raw(cx) == Mode::Mmu {
            leave(cx, Token::Default, Cause::ContextSwitch)?;
            cx.task.set(TaskLazy {
                flag: true,
                ..cx.task.get()
            });
        }
        xen::enter(cx, Mode::Cpu)
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        xen::leave(cx, Mode::Cpu)?;
        if cx.task.get().flag {
            cx.task.set(TaskLazy {
                flag: false,
                ..cx.task.get()
            });
            enter(cx);
        }
        Ok(())
    }
}
