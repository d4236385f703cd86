//! Linux 6.12 on x86/Xen: as 6.1, but entering twice counts `xen_lazy_nesting`. A context switch
//! leaves once, so at depth 2 it finds the mode still on.

use super::xen::{self, mode, raw};
use super::{Bug, Context, CpuLazy, Mode, Pauses, Policy, PolicyInfo, TaskLazy, Token};
use crate::config::Release;
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "legacy-6.12",
    models: "Linux 6.12: per-CPU mode with a nesting count (49147beb0ccb)",
    release: Release::V6_12,
    pauses: Pauses::None,
    policy: &Legacy612,
};

/// See the file's head.
struct Legacy612;

fn enter(cx: &Context<'_>) -> Result<(), Bug> {
    let cpu = cx.cpu.get();
    if cpu.mode != Mode::Mmu {
        return xen::enter(cx, Mode::Mmu);
    }
    cx.cpu.set(CpuLazy {
        nesting: cpu.nesting + 1,
        ..cpu
    });
    Ok(())
}

fn leave(cx: &Context<'_>, cause: Cause) -> Result<(), Bug> {
    (cx.flush)(cause);
    let cpu = cx.cpu.get();
    if cpu.mode != Mode::Mmu || cpu.nesting == 0 {
        return xen::leave(cx, Mode::Mmu);
    }
    cx.cpu.set(CpuLazy {
        nesting: cpu.nesting - 1,
        ..cpu
    });
    Ok(())
}

impl Policy for Legacy612 {
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug> {
        enter(cx).map(|()| Token::Default)
    }
    fn disable(&self, cx: &Context<'_>, _: Token) -> Result<(), Bug> {
        let outer = cx.cpu.get().nesting == 0;
        leave(
            cx,
            if outer {
                Cause::Disable
            } else {
                Cause::NestedDisable
            },
        )
    }
    fn pause(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn resume(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if mode(cx) == Mode::Mmu {
            leave(cx, Cause::ArchFlush)?;
            enter(cx)?;
        }
        Ok(())
    }
    fn queues(&self, cx: &Context<'_>) -> bool {
        mode(cx) == Mode::Mmu
    }
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug> {
        if raw(cx) == Mode::Mmu {
            leave(cx, Cause::ContextSwitch)?;
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
            enter(cx)?;
        }
        Ok(())
    }
}
