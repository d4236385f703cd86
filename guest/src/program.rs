//! Short programs over the lazy-MMU API, for properties: any sequence of operations is one, as
//! what makes no sense where it stands (a disable without an enable, a read-modify-write of an
//! entry that may still be queued) is passed over, alike under every policy. Comes in: a policy
//! and operations; goes out: what the tables were at each promise, and the cost.

use crate::config::Config;
use crate::kernel::{Kernel, Os};
use crate::machine::Machine;
use crate::meter::add;
use crate::mmu::Token;
use crate::plan::Plan;
use crate::region::{Place, Region, tear_down};
use crate::work::{Done, Stop, Work};
use arrayvec::ArrayVec;
use core::cell::{Cell, RefCell};
use hypercalls::lab::CHECK_IGNORES;
use hypercalls::{Pte, PteFlags};

/// Operations a program has at most; what is beyond is cut.
pub const OPS_MAX: usize = 256;
/// Entries of each of a program's regions; operations name them modulo this.
pub const ENTRIES: usize = 64;
/// Depth of sections and pauses at most.
const DEPTH_MAX: usize = 32;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `lazy_mmu_mode_enable`.
    Enable,
    /// `lazy_mmu_mode_disable` of the innermost section, if that is what is innermost.
    Disable,
    /// `lazy_mmu_mode_pause`.
    Pause,
    /// `lazy_mmu_mode_resume`, if a pause is what is innermost.
    Resume,
    /// `set_pte` of an entry to a frame, writable or not.
    Set(u8, u8, bool),
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
    /// An interrupt sets a kernel entry of its own.
    Irq(u8),
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
}

impl Slot {
    /// No program.
    pub(crate) const fn new() -> Self {
        Slot {
            ops: RefCell::new(ArrayVec::new_const()),
            promises: Cell::new(0),
            digest: Cell::new(0),
        }
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
    let slot = &os.core.program;
    slot.promises.set(0);
    slot.digest.set(0);
    *slot.ops.borrow_mut() = ops.iter().copied().take(OPS_MAX).collect();
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
        promises: slot.promises.get(),
        digest: slot.digest.get(),
    })
}

/// What is open around the next operation.
enum Open {
    Section(Token),
    Pause,
}

/// A running program.
struct Run<'a> {
    w: Work<'a>,
    region: Region,
    open: ArrayVec<Open, DEPTH_MAX>,
    /// Entries written since the last promise: a policy may have them queued.
    pending: [bool; ENTRIES],
}

fn main(os: Os<'_>, _: usize) {
    let done = program(os);
    if done.is_ok() && os.core.verdict.bug_on().is_none() {
        os.check_all();
    }
    os.core.verdict.close(done);
}

fn program(os: Os<'_>) -> Done {
    let w = Work::new(os);
    let region = w.region(Place::Kernel, &|i| w.kernel(i))?;
    w.region(Place::Second, &|_| Pte::EMPTY)?;
    w.region(Place::Fixmap, &|_| Pte::EMPTY)?;
    os.on_ipi(interrupt);
    let mut run = Run {
        w,
        region,
        open: ArrayVec::new(),
        pending: [false; ENTRIES],
    };
    os.core.meter.open.set(true);
    let done = run.all();
    os.core.meter.open.set(false);
    done
}

impl Run<'_> {
    fn all(&mut self) -> Done {
        for n in 0..OPS_MAX {
            let op = self.w.os.core.program.ops.borrow().get(n).copied();
            let Some(op) = op else { break };
            self.step(n, op)?;
            self.w.alive()?;
        }
        while !self.open.is_empty() {
            self.step(0, Op::Resume)?;
            self.step(0, Op::Disable)?;
        }
        self.promise();
        Ok(())
    }

    fn step(&mut self, n: usize, op: Op) -> Done {
        let (w, r) = (self.w, self.region);
        match op {
            Op::Enable | Op::Disable | Op::Pause | Op::Resume => return self.bracket(op),
            Op::Set(entry, frame, writable) => self.set(entry, data(&w, frame, writable)),
            Op::Clear(entry) => self.set(entry, Pte::EMPTY),
            Op::GetAndClear(entry) => self.modify(entry, |i| w.get_and_clear(&r, i)),
            Op::WriteProtect(entry) => self.modify(entry, |i| {
                if w.os.model(&r, i).is_present() {
                    w.wrprotect(&r, i);
                }
            }),
            Op::ArchFlush => {
                w.os.arch_flush_lazy_mmu_mode()?;
                self.promise();
            }
            Op::TlbFlush => w.os.flush_tlb_multi(None),
            Op::Switch => self.switch(n)?,
            Op::Irq(entry) => {
                w.os.core.oracle.baton.set(usize::from(entry) % ENTRIES);
                w.os.machine.ipi_self();
            }
        }
        Ok(())
    }

    /// Enable, disable, pause, resume: properly nested.
    fn bracket(&mut self, op: Op) -> Done {
        let os = self.w.os;
        match (op, self.open.last()) {
            (Op::Enable, _) if !self.open.is_full() => {
                self.open.push(Open::Section(os.lazy_mmu_mode_enable()?));
            }
            (Op::Pause, _) if !self.open.is_full() => {
                os.lazy_mmu_mode_pause()?;
                self.open.push(Open::Pause);
                self.promise();
            }
            (Op::Disable, Some(&Open::Section(token))) => {
                self.open.pop();
                os.lazy_mmu_mode_disable(token)?;
                self.promise();
            }
            (Op::Resume, Some(Open::Pause)) => {
                self.open.pop();
                os.lazy_mmu_mode_resume()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, entry: u8, pte: Pte) {
        let i = usize::from(entry) % ENTRIES;
        self.w.set(&self.region, i, pte);
        self.pending[i] = true;
    }

    fn modify(&mut self, entry: u8, f: impl FnOnce(usize)) {
        let i = usize::from(entry) % ENTRIES;
        if !self.pending[i] {
            f(i);
        }
    }

    fn switch(&mut self, n: usize) -> Done {
        let other = self
            .w
            .os
            .fork(2, neighbour, n)
            .ok_or(Stop::Error("no free task"))?;
        self.w.preempt(other);
        self.promise();
        Ok(())
    }

    /// Everything written so far must be visible.
    fn promise(&mut self) {
        let os = self.w.os;
        os.promised();
        self.pending = [false; ENTRIES];
        let slot = &os.core.program;
        add(&slot.promises, 1);
        for place in Place::ALL {
            if let Some(r) = os.core.oracle.regions[place as usize].get() {
                (0..r.count).for_each(|i| digest(os, &r, i));
            }
        }
    }
}

/// FNV-1a over what the policy can influence of an entry.
fn digest(os: Os<'_>, r: &Region, i: usize) {
    let pte = os.machine.read_pte(r.at(os, i)).0 & !CHECK_IGNORES;
    let digest = &os.core.program.digest;
    digest.set((digest.get() ^ pte).wrapping_mul(0x0100_0000_01b3));
}

fn data(w: &Work<'_>, frame: u8, writable: bool) -> Pte {
    let pte = w.kernel(usize::from(frame));
    if writable {
        pte
    } else {
        pte.without(PteFlags::RW | PteFlags::DIRTY)
    }
}

fn interrupt(os: Os<'_>) {
    let w = Work::new(os);
    if let Ok(r) = w.built(Place::Fixmap) {
        let i = os.core.oracle.baton.get();
        w.set(&r, i, w.kernel(i));
    }
}

/// What another task does: looks, then a section of its own.
fn neighbour(os: Os<'_>, n: usize) {
    os.promised();
    let w = Work::new(os);
    let done = w.built(Place::Second).and_then(|r| {
        let token = os.lazy_mmu_mode_enable()?;
        w.set(&r, n % ENTRIES, w.kernel(n % ENTRIES));
        os.lazy_mmu_mode_disable(token)?;
        os.promised();
        Ok(())
    });
    os.core.verdict.stopped(done);
}
