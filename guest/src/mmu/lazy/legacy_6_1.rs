//! Linux 6.1 on x86/Xen: enter, leave and flush over a per-CPU mode that cannot nest.

use super::xen::{enter, leave, mode, raw};
use super::{Bug, Context, Mode, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::Release;
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "legacy-6.1",
    models: "Linux 6.1: per-CPU mode, entering twice is a BUG",
    release: Release::V6_1,
    pauses: Pauses::None,
    policy: &Legacy61,
};

/// See the file's head.
struct Legacy61;

fn arch_leave(cx: &Context<'_>, cause: Cause) -> Result<(), Bug> {
    (cx.flush)(cause);
    leave(cx, Mode::Mmu)
}

impl Policy for Legacy61 {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        enter(cx, Mode::Mmu).map(|()| Token::Default)
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        arch_leave(cx, Cause::Disable)
    }
    fn pause(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn resume(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if mode(cx) == Mode::Mmu {
            arch_leave(cx, Cause::ArchFlush)?;
            enter(cx, Mode::Mmu)?;
        }
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        mode(cx) == Mode::Mmu
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if raw(cx) == Mode::Mmu {
            arch_leave(cx, Cause::ContextSwitch)?;
            cx.task.set(TaskLazy {
                flag: true,
                ..cx.task.get()
            });
        }
        enter(cx, Mode::Cpu)
    }
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug> {
        leave(cx, Mode::Cpu)?;
        if cx.task.get().flag {
            cx.task.set(TaskLazy {
                flag: false,
                ..cx.task.get()
            });
            enter(cx, Mode::Mmu)?;
        }
        Ok(())
    }
}
