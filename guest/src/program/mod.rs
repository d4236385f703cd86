//! Short programs over the lazy-MMU API, for properties: any sequence of operations is one, as
//! what makes no sense where it stands (a disable without an enable, a read-modify-write of an
//! entry that may still be queued) is passed over, alike under every policy. Comes in: a policy
//! and operations; goes out: what the tables were at each promise, and the cost.

mod others;
mod running;

use crate::config::Config;
use crate::kernel::{Kernel, Os};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::region::tear_down;
use arrayvec::ArrayVec;
use core::cell::{Cell, RefCell};
use running::main;

/// Operations a program has at most; what is beyond is cut.
pub const OPS_MAX: usize = 256;
/// Entries of each of a program's regions; operations name them modulo this.
pub const ENTRIES: usize = 64;
/// Tasks a program has; [`Op::Task`] names them modulo this.
pub const TASKS: usize = 3;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `lazy_mmu_mode_enable`.
    Enable,
    /// `lazy_mmu_mode_enable_with_ptes`, of the first half of the entries.
    EnableWithPtes,
    /// `lazy_mmu_mode_disable` of the innermost section, if that is what is innermost.
    Disable,
    /// `lazy_mmu_mode_pause`.
    Pause,
    /// `lazy_mmu_mode_resume`, if a pause is what is innermost.
    Resume,
    /// `local_bh_disable`: `in_interrupt()` from here on, and no preemption.
    BhDisable,
    /// `local_bh_enable`, if that is what is innermost.
    BhEnable,
    /// `set_pte` of an entry to a frame, writable or not.
    Set(u8, u8, bool),
    /// `ptep_modify_prot_commit`: an entry that is present made read-only, A and D kept.
    Commit(u8),
    /// `pte_clear` of an entry.
    Clear(u8),
    /// `ptep_get_and_clear` of an entry that cannot be queued.
    GetAndClear(u8),
    /// `ptep_set_wrprotect` of such an entry, if it is present.
    WriteProtect(u8),
    /// `arch_flush_lazy_mmu_mode`.
    ArchFlush,
    /// A TLB flush.
    TlbFlush,
    /// The timer fires; another task runs a section of its own.
    Switch,
    /// The same in the window of the next call that opens or closes something, between its count
    /// and its hook; right after it if it has none.
    Window,
    /// The program goes on as another of its tasks, whatever this one has open. Only where
    /// stacks nest: the task has none of its own.
    Task(u8),
    /// An interrupt sets a kernel entry of its own.
    Irq(u8),
    /// An interrupt calls `arch_flush_lazy_mmu_mode`.
    IrqFlush,
    /// An interrupt sets a kernel entry of its own in a section of its own.
    IrqSection(u8),
}

/// What a program did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The BUG it died of.
    pub bug: Option<&'static str>,
    /// Hypercalls that carried page-table work.
    pub traps: u64,
    /// Page-table updates in them.
    pub updates: u64,
    /// Direct writes to live tables.
    pub emulated_writes: u64,
    /// Entries and uses that the model contradicts.
    pub wrong: u64,
    /// Operations after which a task in a section, neither paused nor in an interrupt, did not
    /// queue.
    pub lost: u64,
    /// Points at which the API promised visibility.
    pub promises: u64,
    /// Of all entries at all those points and at the end: alike under two policies if the tables
    /// were.
    pub digest: u64,
}

/// A program's place in the kernel's state.
pub(crate) struct Slot {
    ops: RefCell<ArrayVec<Op, OPS_MAX>>,
    promises: Cell<u64>,
    digest: Cell<u64>,
    lost: Cell<u64>,
}

impl Slot {
    /// No program.
    pub(crate) const fn new() -> Self {
        Slot {
            ops: RefCell::new(ArrayVec::new_const()),
            promises: Cell::new(0),
            digest: Cell::new(0),
            lost: Cell::new(0),
        }
    }

    fn load(&self, ops: &[Op]) {
        self.promises.set(0);
        self.digest.set(0);
        self.lost.set(0);
        *self.ops.borrow_mut() = ops.iter().copied().take(OPS_MAX).collect();
    }
}

/// Runs `ops` in a new task under the axes of `plan` (its first policy; see [`crate::lab::run`]).
/// `None` if the plan is wrong or the machine too small.
pub fn run<M: Machine>(kernel: &Kernel<M>, plan: &str, ops: &[Op]) -> Option<Trace> {
    let os = kernel.os();
    let plan = Plan::parse(plan).ok()?;
    let policy = plan.policies().next()?;
    crate::lab::prepare(
        os,
        Config {
            policy,
            ptes: ENTRIES,
            ..plan.config
        },
    );
    os.core.program.load(ops);
    if !os.fill_data(usize::from(u8::MAX) + 1) {
        return None;
    }
    let task = os.fork(1, main, 0)?;
    os.join(task);
    os.reset_tasks();
    tear_down(os).ok()?;
    trace(os)
}

fn trace(os: Os<'_>) -> Option<Trace> {
    let (meter, oracle, slot) = (&os.core.meter, &os.core.oracle, &os.core.program);
    if os.core.verdict.stopped_by_error() {
        return None;
    }
    Some(Trace {
        bug: os.core.verdict.bug_on().map(|b| b.name),
        traps: meter.calls[1..].iter().map(Cell::get).sum(),
        updates: meter.updates.get(),
        emulated_writes: meter.emulated.get(),
        wrong: oracle.differing.get() + oracle.mistouched.get(),
        lost: slot.lost.get(),
        promises: slot.promises.get(),
        digest: slot.digest.get(),
    })
}
