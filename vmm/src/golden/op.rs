//! What a workload does between LAB_BEGIN and LAB_END, as far as traps depend on it.

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A write that may be queued: B in the tables of call sites.
    Set,
    /// The same, but the hypervisor refuses it: what follows in its `mmu_update` is lost.
    Refused(Hazard),
    /// A read-modify-write of a live entry, trapped and emulated: T.
    Rmw,
    /// A TLB flush for several vCPUs.
    Flush,
    /// A section begins.
    Enable,
    /// A section ends.
    Disable,
    /// `lazy_mmu_mode_pause`.
    Pause,
    /// `lazy_mmu_mode_resume`.
    Resume,
    /// `arch_flush_lazy_mmu_mode`.
    ArchFlush,
    /// The task is switched away from and later back to.
    Switch,
    /// An interrupt, or softirqs disabled: the next steps run in interrupt context.
    IrqEnter,
    /// Back to the task.
    IrqExit,
    /// After the section: the next switch flushes what waits, where nobody counts.
    Later,
    /// The last write is relied upon here; while it waits, that is a hazard.
    RelyOn(Hazard),
    /// Something that may sleep; while a section is open, that is a hazard.
    Sleep(Hazard),
}

/// How stale data is served.
pub(super) type Hazard = &'static str;

/// `ops` in a section.
pub(super) fn section(ops: impl IntoIterator<Item = Op>) -> Vec<Op> {
    let mut all = vec![Op::Enable];
    all.extend(ops);
    all.push(Op::Disable);
    all
}

/// `pattern`, `n` times.
pub(super) fn times(n: u32, pattern: &[Op]) -> Vec<Op> {
    pattern.repeat(n as usize)
}
