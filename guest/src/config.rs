//! The axes of a cell, each independent of the others: nesting policy, hooks, back end, RMW mode,
//! the context switch's own batch, and (in test builds) a mutant. Plain data; `plan` fills it.

/// Entries of Linux's multicall buffer (`MC_BATCH`).
pub(crate) const MC_BATCH: usize = 32;
/// Argument bytes of Linux's multicall buffer (`MC_ARGS`).
pub(crate) const MC_ARGS: usize = 512;
/// Most updates a flush can be asked to carry.
pub(crate) const BATCH_MAX: usize = 1024;
/// Argument bytes of the largest buffer.
pub(crate) const ARGS_MAX: usize = args_for(BATCH_MAX);

/// The argument bytes with which exactly `updates` updates of 16 bytes pass the space test: a
/// request is refused once its end would reach the limit, so one more than they need.
pub(crate) const fn args_for(updates: usize) -> usize {
    16 * updates + 16
}

/// The kernel release a policy stands for: which call sites have a section, and what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Linux 6.1.
    V6_1,
    /// Linux 6.12.
    V6_12,
    /// Linux 7.x, and proposals on top of it.
    V7,
}

/// Where the x86 hooks of the nested API keep "queue from here on".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hooks {
    /// Per CPU, as 7.0: entering or leaving twice is a BUG.
    CpuStrict,
    /// Per CPU, as 7.1: entering or leaving twice is tolerated.
    Cpu,
    /// Per task, as 7.2: the counters decide; the hooks only flush.
    Task,
}

/// In which order a flush issues what was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As it was queued.
    Fifo,
    /// TLB flushes first, then the updates, last queued first where no entry is named twice.
    Reordering,
}

/// How a read-modify-write of a live entry is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rmw {
    /// A locked instruction on the read-only table, trapped and emulated.
    Trapped,
    /// A read and a direct `mmu_update`.
    Immediate,
    /// A read and a queued `mmu_update`.
    Queued,
}

/// One cell's axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Index into the table of policies.
    pub policy: usize,
    /// Entries a workload works on.
    pub ptes: usize,
    /// Argument bytes of the buffer.
    pub args: usize,
    /// Whether updates merge into the last entry.
    pub merge: bool,
    /// The back end's order.
    pub order: Order,
    /// How entries are read, modified and written.
    pub rmw: Rmw,
    /// Whether the context switch queues its own requests.
    pub cpu_lazy: bool,
    /// Hooks other than the policy's own.
    pub hooks: Option<Hooks>,
    /// The deliberate fault, if any: its number in the table.
    pub mutant: Option<u8>,
}

impl Config {
    /// Linux's buffer, the first policy, everything as real Linux does it.
    pub(crate) const LINUX: Config = Config {
        policy: 0,
        ptes: 512,
        args: MC_ARGS,
        merge: true,
        order: Order::Fifo,
        rmw: Rmw::Trapped,
        cpu_lazy: true,
        hooks: None,
        mutant: None,
    };
}

const _: () = assert!(args_for(31) == MC_ARGS);
