//! The merged nested API (7.0): two u8 counters a task and three sets of x86 hooks. The counters
//! wrap as the kernel's do: its warnings never clamp. The policies on top differ in the hooks
//! and in what a new task starts from.

use super::xen::{self, mode, raw};
use super::{Bug, Context, Mode, TaskLazy, Token};
use crate::config::Hooks;
use crate::mutants;
use hypercalls::lab::Cause;

/// `__task_lazy_mmu_mode_active`.
pub(super) fn active(task: TaskLazy) -> bool {
    task.enable > 0 && task.pause == 0
}

/// The hooks in force: the cell's, or the policy's own.
pub(super) fn hooks(cx: &Context<'_>, own: Hooks) -> Hooks {
    if mutants::chosen(&cx.config, mutants::STRICT_WINDOW) && own == Hooks::Cpu {
        return Hooks::CpuStrict;
    }
    cx.config.hooks.unwrap_or(own)
}

/// `arch_enter_lazy_mmu_mode`.
pub(super) fn arch_enter(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    match hooks {
        Hooks::CpuStrict => xen::enter(cx, Mode::Mmu),
        Hooks::Cpu => {
            xen::set(cx, Mode::Mmu);
            Ok(())
        }
        Hooks::Task => Ok(()),
    }
}

/// `arch_leave_lazy_mmu_mode`.
fn arch_leave(cx: &Context<'_>, hooks: Hooks, cause: Cause) -> Result<(), Bug> {
    (cx.flush)(cause);
    match hooks {
        Hooks::CpuStrict => xen::leave(cx, Mode::Mmu),
        Hooks::Cpu => {
            xen::set(cx, Mode::None);
            Ok(())
        }
        Hooks::Task => Ok(()),
    }
}

/// `arch_flush_lazy_mmu_mode`: with per-task hooks unconditional, in interrupts too.
pub(super) fn arch_flush(cx: &Context<'_>, hooks: Hooks, cause: Cause) {
    if hooks == Hooks::Task || mode(cx) == Mode::Mmu {
        (cx.flush)(cause);
    }
}

/// Counts an enable. Whether the hook is due.
pub(super) fn count_enable(cx: &Context<'_>) -> bool {
    let mut task = cx.task.get();
    if cx.in_interrupt || task.pause > 0 {
        return false;
    }
    let first = task.enable == 0;
    if task.enable == u8::MAX {
        task.warn();
    }
    task.enable = task.enable.wrapping_add(1);
    cx.task.set(task);
    (cx.window)();
    first
}

/// `lazy_mmu_mode_enable`.
pub(super) fn enable(cx: &Context<'_>, hooks: Hooks) -> Result<Token, Bug> {
    if !count_enable(cx) {
        return Ok(Token::Nested);
    }
    arch_enter(cx, hooks).map(|()| Token::Default)
}

/// `lazy_mmu_mode_disable`.
pub(super) fn disable(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    let mut task = cx.task.get();
    if cx.in_interrupt || task.pause > 0 {
        return Ok(());
    }
    if task.enable == 0 {
        task.warn();
    }
    task.enable = task.enable.wrapping_sub(1);
    cx.task.set(task);
    (cx.window)();
    if task.enable == 0 {
        return arch_leave(cx, hooks, Cause::Disable);
    }
    arch_flush(cx, hooks, Cause::NestedDisable);
    if mutants::chosen(&cx.config, mutants::STRIP_NESTED) {
        cx.task.set(TaskLazy { enable: 0, ..task });
        xen::set(cx, Mode::None);
    }
    Ok(())
}

/// Counts a pause. Whether the hook is due.
pub(super) fn count_pause(cx: &Context<'_>) -> bool {
    let mut task = cx.task.get();
    let due = active(task);
    if task.pause == u8::MAX {
        task.warn();
    }
    task.pause = task.pause.wrapping_add(1);
    cx.task.set(task);
    due
}

/// Counts a resume. Whether the hook is due.
pub(super) fn count_resume(cx: &Context<'_>) -> bool {
    let mut task = cx.task.get();
    if task.pause == 0 {
        task.warn();
    }
    task.pause = task.pause.wrapping_sub(1);
    cx.task.set(task);
    active(task)
}

/// Counts a caller's pause, which has a window. Whether the hook is due.
pub(super) fn pause_counted(cx: &Context<'_>) -> bool {
    if cx.in_interrupt {
        return false;
    }
    let due = count_pause(cx);
    (cx.window)();
    due
}

/// Counts a caller's resume, likewise.
pub(super) fn resume_counted(cx: &Context<'_>) -> bool {
    if cx.in_interrupt {
        return false;
    }
    let due = count_resume(cx);
    (cx.window)();
    due
}

/// `lazy_mmu_mode_pause`.
pub(super) fn pause(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    if pause_counted(cx) {
        arch_leave(cx, hooks, Cause::Pause)?;
    }
    Ok(())
}

/// `lazy_mmu_mode_resume`.
pub(super) fn resume(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    if resume_counted(cx) {
        arch_enter(cx, hooks)?;
    }
    Ok(())
}

/// Whether a write is queued.
pub(super) fn queues(cx: &Context<'_>, hooks: Hooks) -> bool {
    match hooks {
        Hooks::Task => !cx.in_interrupt && active(cx.task.get()),
        Hooks::Cpu | Hooks::CpuStrict => mode(cx) == Mode::Mmu,
    }
}

/// Switching out: 7.2 pauses the task, 7.0 and 7.1 leave by the CPU's mode.
pub(super) fn switch_out(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    if hooks == Hooks::Task {
        if count_pause(cx) {
            (cx.flush)(Cause::ContextSwitch);
        }
        return Ok(());
    }
    if raw(cx) == Mode::Mmu {
        arch_leave(cx, hooks, Cause::ContextSwitch)?;
        let deep = cx.task.get().enable > 1;
        if deep && mutants::chosen(&cx.config, mutants::SWITCH_KEEPS_NESTED) {
            xen::set(cx, Mode::Mmu);
        }
    }
    xen::enter(cx, Mode::Cpu)
}

/// Switching in: 7.2 resumes the task, 7.0 and 7.1 enter if it is active.
pub(super) fn switch_in(cx: &Context<'_>, hooks: Hooks) -> Result<(), Bug> {
    if hooks == Hooks::Task {
        let due = count_resume(cx);
        return if due { arch_enter(cx, hooks) } else { Ok(()) };
    }
    xen::leave(cx, Mode::Cpu)?;
    if active(cx.task.get()) && !mutants::chosen(&cx.config, mutants::RESUME_LOST) {
        arch_enter(cx, hooks)?;
    }
    Ok(())
}

/// A new task's state such that its first event, a resume with per-task hooks, makes it whole.
pub(super) fn fork(hooks: Hooks) -> TaskLazy {
    TaskLazy {
        pause: u8::from(hooks == Hooks::Task),
        ..TaskLazy::default()
    }
}
