//! A machine for the tests: an array of frames, the few hypercalls the library makes, and counts
//! as the hypervisor would keep them. Stacks nest: switching to a fresh task calls its main.

mod axes;
mod golden;
mod interpret;
#[cfg(feature = "mutants")]
mod kills;
mod programs;

use crate::kernel::Kernel;
use crate::machine::{Access, Fault, Machine, Part, TaskId};
use core::cell::{Cell, RefCell};
use hypercalls::lab::{Cause, CellResult, LAB_BEGIN, LAB_CHECK, LAB_END, LAB_RESULT};
use hypercalls::multicall::MulticallEntry;
use hypercalls::{Errno, Maddr, Mfn, Nr, Pfn, Pte, Vaddr};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::string::String;
use std::vec::Vec;
use zerocopy::FromBytes;

/// Frames of the machine; the guest's first free one is [`FREE`].
const FRAMES: usize = 2048;
/// The L4.
const ROOT: u64 = 1;
/// First free pseudo-physical frame.
const FREE: u64 = 16;
/// Distance of a machine frame from its pseudo-physical one.
const SHIFT: u64 = 8;

/// What one cell cost, as the hypervisor counts it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Hypercalls by cause.
    pub reasons: [u64; 8],
    /// By name.
    pub by_name: BTreeMap<&'static str, u64>,
    /// Page-table updates.
    pub updates: u64,
    /// Emulated writes.
    pub emulated: u64,
}

impl Counts {
    /// All but the kernel's own.
    pub(crate) fn traps(&self) -> u64 {
        self.reasons[1..].iter().sum()
    }
}

/// A finished cell.
#[derive(Clone, Debug)]
pub(crate) struct Cellular {
    /// What the guest says.
    pub result: CellResult,
    /// What was counted.
    pub counts: Counts,
}

/// The machine.
pub(crate) struct Mock {
    kernel: RefCell<Weak<Kernel<Mock>>>,
    words: Vec<Cell<u64>>,
    protected: RefCell<BTreeSet<u64>>,
    counts: RefCell<Counts>,
    counting: Cell<bool>,
    masked: Cell<bool>,
    cpu: Cell<usize>,
    cpus: usize,
    /// Finished cells.
    pub cells: RefCell<Vec<Cellular>>,
    /// The console.
    pub console: RefCell<Vec<String>>,
}

impl Mock {
    /// A kernel on a new machine of `cpus` CPUs.
    pub(crate) fn kernel(cpus: usize) -> Rc<Kernel<Mock>> {
        let mock = Mock {
            kernel: RefCell::default(),
            words: (0..FRAMES * 512).map(|_| Cell::new(0)).collect(),
            protected: RefCell::default(),
            counts: RefCell::default(),
            counting: Cell::new(false),
            masked: Cell::new(false),
            cpu: Cell::new(0),
            cpus,
            cells: RefCell::default(),
            console: RefCell::default(),
        };
        let kernel = Rc::new(Kernel::new(mock));
        *kernel.machine().kernel.borrow_mut() = Rc::downgrade(&kernel);
        kernel
    }

    fn guest(&self) -> Rc<Kernel<Mock>> {
        self.kernel
            .borrow()
            .upgrade()
            .expect("the kernel outlives its calls")
    }

    fn word(&self, at: Maddr) -> &Cell<u64> {
        &self.words[at.0 as usize / 8]
    }

    fn trap(&self, cause: Cause, nr: Nr, updates: u64) {
        if self.counting.get() && nr != Nr::Lab {
            let mut counts = self.counts.borrow_mut();
            counts.reasons[cause as usize] += 1;
            if cause != Cause::Kernel {
                *counts.by_name.entry(nr.name()).or_default() += 1;
                counts.updates += updates;
            }
        }
    }

    fn locked(&self, at: Maddr) -> &Cell<u64> {
        if self.protected.borrow().contains(&at.mfn().0) && self.counting.get() {
            self.counts.borrow_mut().emulated += 1;
        }
        self.word(at)
    }

    fn lab(&self, args: [u64; 5], block: &mut [u8]) -> i64 {
        match args[0] as u32 {
            LAB_BEGIN => self.counting.set(true),
            LAB_END => self.counting.set(false),
            LAB_CHECK => return self.check(block),
            LAB_RESULT => {
                let result = CellResult::read_from_bytes(block).expect("a CellResult");
                let counts = self.counts.take();
                self.cells.borrow_mut().push(Cellular { result, counts });
            }
            _ => return Errno::EINVAL.to_ret(),
        }
        0
    }

    fn interrupt(&self, handler: impl Fn(&Kernel<Mock>)) {
        assert!(
            !self.masked.get(),
            "the library asks for interrupts only where they can come"
        );
        let kernel = self.guest();
        self.masked.set(true);
        handler(&kernel);
        kernel.preempt_schedule_irq();
        self.masked.set(false);
    }
}

impl Machine for Mock {
    fn cpu(&self) -> usize {
        self.cpu.get()
    }
    fn cpus(&self) -> usize {
        self.cpus
    }
    fn call(&self, cause: Cause, nr: Nr, args: [u64; 5]) -> i64 {
        self.trap(cause, nr, u64::from(nr == Nr::UpdateVaMapping));
        match nr {
            Nr::Lab => self.lab(args, &mut []),
            Nr::UpdateVaMapping => self.va_mapping(args[0], args[1]),
            Nr::StackSwitch => 0,
            _ => Errno::ENOSYS.to_ret(),
        }
    }
    fn call_with(&self, cause: Cause, nr: Nr, args: [u64; 5], _: usize, block: &mut [u8]) -> i64 {
        self.trap(cause, nr, if nr == Nr::MmuUpdate { args[1] } else { 0 });
        match nr {
            Nr::Lab => self.lab(args, block),
            Nr::MmuUpdate => self.mmu_update(&block[..args[1] as usize * 16]),
            Nr::MmuextOp => 0,
            _ => Errno::ENOSYS.to_ret(),
        }
    }
    fn multicall(&self, cause: Cause, e: &mut [MulticallEntry], rel: u64, args: &mut [u8]) -> i64 {
        let count = |e: &MulticallEntry| match Nr::from_raw(e.op) {
            Some(Nr::MmuUpdate) => e.args[1],
            Some(Nr::UpdateVaMapping) => 1,
            _ => 0,
        };
        self.trap(cause, Nr::Multicall, e.iter().map(count).sum());
        for (i, entry) in e.iter_mut().enumerate() {
            let from = if rel >> i & 1 != 0 {
                entry.args[0] as usize
            } else {
                0
            };
            entry.result = match Nr::from_raw(entry.op) {
                Some(Nr::MmuUpdate) => {
                    self.mmu_update(&args[from..][..entry.args[1] as usize * 16])
                }
                Some(Nr::UpdateVaMapping) => self.va_mapping(entry.args[0], entry.args[1]),
                Some(Nr::MmuextOp) => 0,
                _ => Errno::ENOSYS.to_ret(),
            };
        }
        0
    }
    fn irq_save(&self) -> bool {
        self.masked.replace(true)
    }
    fn irq_restore(&self, masked: bool) {
        self.masked.set(masked);
    }
    fn timer_now(&self) {
        self.interrupt(Kernel::timer_interrupt);
    }
    fn ipi_self(&self) {
        self.interrupt(Kernel::ipi_interrupt);
    }
    fn run_on(&self, cpu: usize, task: TaskId) {
        let here = (self.cpu.replace(cpu), self.masked.replace(false));
        self.guest().run_task(task);
        self.cpu.set(here.0);
        self.masked.set(here.1);
    }
    fn switch_stacks(&self, _: TaskId, next: TaskId) {
        let kernel = self.guest();
        if kernel.is_fresh(next) {
            kernel.task_main(next);
        }
    }
    fn root(&self) -> Mfn {
        Mfn(ROOT)
    }
    fn mfn(&self, pfn: Pfn) -> Mfn {
        Mfn(pfn.0 + SHIFT)
    }
    fn free_frames(&self) -> (Pfn, u64) {
        (Pfn(FREE), FRAMES as u64 - FREE - SHIFT)
    }
    fn read_pte(&self, at: Maddr) -> Pte {
        Pte(self.word(at).get())
    }
    fn xchg_pte(&self, at: Maddr, new: Pte) -> Pte {
        Pte(self.locked(at).replace(new.0))
    }
    fn cmpxchg_pte(&self, at: Maddr, old: Pte, new: Pte) -> bool {
        let word = self.locked(at);
        let same = word.get() == old.0;
        if same {
            word.set(new.0);
        }
        same
    }
    fn store_pte(&self, at: Maddr, new: Pte) {
        self.locked(at).set(new.0);
    }
    fn write_part(&self, at: Maddr, part: Part) -> bool {
        let word = self.locked(Maddr(at.0 & !7));
        let (held, shift) = (word.get(), at.0 % 8 * 8);
        let put = |mask: u64, value: u64| held & !(mask << shift) | value << shift;
        let (new, bit) = match part {
            Part::Byte(value) => (put(0xff, value.into()), None),
            Part::Word(value) => (put(0xffff, value.into()), None),
            Part::Dword(value) => (put(0xffff_ffff, value.into()), None),
            Part::Set(bit) => (held | 1 << bit, Some(bit)),
            Part::Clear(bit) => (held & !(1 << bit), Some(bit)),
        };
        word.set(new);
        bit.is_some_and(|bit| held >> bit & 1 != 0)
    }
    fn fill(&self, mfn: Mfn, word: u64) {
        (0..512).for_each(|i| self.word(mfn.entry(i)).set(word));
    }
    fn protect(&self, mfn: Mfn, read_only: bool) {
        let mut protected = self.protected.borrow_mut();
        if read_only {
            protected.insert(mfn.0)
        } else {
            protected.remove(&mfn.0)
        };
    }
    fn touch(&self, va: Vaddr, access: Access) -> Result<u64, Fault> {
        self.translate(va, access)
    }
    fn invalidate(&self, _: Vaddr) {}
    fn log(&self, line: core::fmt::Arguments<'_>) {
        self.console.borrow_mut().push(std::format!("{line}"));
    }
}
