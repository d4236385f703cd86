//! The lazy-MMU API, one file a generation. A policy decides from a task's and a CPU's lazy state
//! whether a write may wait and when waiting ends; it never touches the queue, it asks for a
//! flush. Comes in: the API's calls and the context switch; goes out: flushes with their cause,
//! or the BUG that the modelled kernel would have died of.

mod arch_pause;
mod eager;
#[cfg(test)]
mod explore;
mod generic;
mod generic_7_2;
mod legacy_6_1;
mod legacy_6_12;
mod local_state_v2;
mod nested;
mod strip;
#[cfg(test)]
mod tests;
mod with_ptes;
pub(crate) mod xen;

use crate::config::{Config, Hooks, Release};
use core::cell::Cell;
use hypercalls::Vaddr;
use hypercalls::lab::Cause;

/// The modelled kernel stops here: the BUG's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bug {
    /// As the kernel's log would have it.
    pub name: &'static str,
}

/// What a caller of enable keeps and hands to disable. Only v2 looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Token {
    /// The mode was off before.
    #[default]
    Default,
    /// It was on already.
    Nested,
}

/// A range of page-table entries a section is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// First address.
    pub start: Vaddr,
    /// First address behind it.
    pub end: Vaddr,
}

/// A task's lazy state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskLazy {
    /// `enable_count`.
    pub enable: u8,
    /// `pause_count`.
    pub pause: u8,
    /// `TIF_LAZY_MMU_UPDATES`, or arm64's and powerpc's "active".
    pub flag: bool,
    /// The range of with-ptes, or the arch state of arch-pause.
    pub hint: Option<Hint>,
    /// Whether arch-pause's state is set aside.
    pub paused: bool,
    /// `VM_WARN_ON_ONCE`s that would have fired.
    pub warnings: u8,
}

impl TaskLazy {
    /// One more warning.
    pub(crate) fn warn(&mut self) {
        self.warnings = self.warnings.saturating_add(1);
    }
}

/// `xen_lazy_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not lazy.
    #[default]
    None,
    /// Page-table writes are queued.
    Mmu,
    /// In a context switch.
    Cpu,
}

/// A CPU's lazy state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuLazy {
    /// `xen_lazy_mode`.
    pub mode: Mode,
    /// `xen_lazy_nesting` of 6.12.
    pub nesting: u32,
}

/// What a policy works on.
pub(crate) struct Context<'a> {
    /// The task's state: of the current one, or of the one switched out or in.
    pub task: &'a Cell<TaskLazy>,
    /// The CPU's state.
    pub cpu: &'a Cell<CpuLazy>,
    /// `in_interrupt()`: hardirq, softirq or bottom halves off.
    pub in_interrupt: bool,
    /// The cell's axes.
    pub config: Config,
    /// Issues the CPU's queue.
    pub flush: &'a dyn Fn(Cause),
    /// Called between a counter's change and its hook: a preemption may come here.
    pub window: &'a dyn Fn(),
}

/// One generation of the API.
pub(crate) trait Policy: Sync {
    /// `lazy_mmu_mode_enable`.
    fn enable(&self, cx: &Context<'_>) -> Result<Token, Bug>;
    /// `lazy_mmu_mode_enable_with_ptes`; without the hint where there is none.
    fn enable_with_ptes(&self, cx: &Context<'_>, _hint: Hint) -> Result<Token, Bug> {
        self.enable(cx)
    }
    /// `lazy_mmu_mode_disable`.
    fn disable(&self, cx: &Context<'_>, token: Token) -> Result<(), Bug>;
    /// `lazy_mmu_mode_pause`, or what the release has in its place.
    fn pause(&self, cx: &Context<'_>) -> Result<(), Bug>;
    /// `lazy_mmu_mode_resume`.
    fn resume(&self, cx: &Context<'_>) -> Result<(), Bug>;
    /// `arch_flush_lazy_mmu_mode`.
    fn arch_flush(&self, cx: &Context<'_>) -> Result<(), Bug>;
    /// Whether a write is queued here and now.
    fn queues(&self, cx: &Context<'_>) -> bool;
    /// `arch_start_context_switch`, on the outgoing task's state.
    fn switch_out(&self, cx: &Context<'_>) -> Result<(), Bug>;
    /// `arch_end_context_switch`, on the incoming task's state; the queue is empty.
    fn switch_in(&self, cx: &Context<'_>) -> Result<(), Bug>;
    /// The state a new task starts from.
    fn fork(&self, _parent: TaskLazy, _hooks: Option<Hooks>) -> TaskLazy {
        TaskLazy::default()
    }
}

/// What a release has by way of pause and resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pauses {
    /// Nothing.
    None,
    /// Leave and enter again.
    LeaveEnter,
    /// A count of its own, or no state at all.
    Counted,
}

/// A policy as `xenlet list` shows it.
#[derive(Clone, Copy)]
pub struct PolicyInfo {
    /// The name `--policy` takes.
    pub name: &'static str,
    /// The API generation it models.
    pub models: &'static str,
    /// The kernel release whose call sites go with it.
    pub release: Release,
    /// What that release has by way of pause and resume.
    pub pauses: Pauses,
    /// The implementation.
    pub(crate) policy: &'static dyn Policy,
}

/// The table of policies.
pub(crate) static TABLE: [PolicyInfo; 9] = [
    eager::INFO,
    legacy_6_1::INFO,
    legacy_6_12::INFO,
    local_state_v2::INFO,
    generic::INFO,
    generic_7_2::INFO,
    strip::INFO,
    arch_pause::INFO,
    with_ptes::INFO,
];
