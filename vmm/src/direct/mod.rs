//! The direct backend: the guest library and the hypervisor's dispatch in one process, no KVM.
//!
//! [`Direct`] is the library's machine. A hypercall puts its arguments into the domain's memory
//! and takes the same entry a trapped `syscall` takes, with registers; an event is delivered as
//! an upcall frame and returned from by hypercall `iret`. So both backends count alike. What is
//! missing is the CPU: loads and stores are translated by the page walk, which notes A and D in the
//! leaf, and there is no TLB.

mod access;
mod cpus;
mod events;

use crate::domain::{
    BuildError, CellReport, Domain, DomainConfig, HostLayout, Program, Regs, Step,
};
use crate::hypercall;
use guest::Kernel;
use guest::machine::{Access, Fault, Machine, Part, TaskId};
use guest::program::{self, Op, Trace};
use hypercalls::lab::{Cause, LAB_ATTACH};
use hypercalls::mmu::{MMUEXT_INVLPG_LOCAL, MmuextOp};
use hypercalls::multicall::MulticallEntry;
use hypercalls::vcpu::{SetSingleshotTimer, VCPUOP_SET_SINGLESHOT_TIMER};
use hypercalls::{DOMID_SELF, Maddr, Mfn, Nr, PAGE_SIZE, Pfn, Pte, Vaddr};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::{Rc, Weak};
use thiserror::Error;
use zerocopy::IntoBytes;

/// Why the direct backend could not finish.
#[derive(Debug, Error)]
pub enum DirectError {
    /// The domain does not fit its memory.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The domain ended before the lab did.
    #[error("the domain ended early: {0}")]
    Ended(String),
    /// A program's axes.
    #[error("no machine for a program under {0:?}")]
    Plan(String),
}

/// Pages for a hypercall's arguments: a queue's largest batch.
const BLOCK_PAGES: u64 = 8;

/// vCPUs there are at most.
const CPUS: usize = *crate::config::CPUS.end() as usize;

/// Pages of the domain's own that carry arguments, by use.
struct Scratch {
    causes: Vaddr,
    block: Vaddr,
    entries: Vaddr,
}

/// The guest library's machine.
pub struct Direct<'a> {
    kernel: Weak<Kernel<Direct<'a>>>,
    domain: RefCell<Domain>,
    regs: RefCell<Regs>,
    scratch: Scratch,
    ports: [Cell<events::Ports>; CPUS],
    cpu: Cell<usize>,
    ended: RefCell<Option<String>>,
    console: RefCell<&'a mut dyn Write>,
}

/// A kernel on its machine, booted: runs plans and programs, one after the other.
pub struct Session<'a> {
    kernel: Rc<Kernel<Direct<'a>>>,
}

impl<'a> Session<'a> {
    /// Boots. The guest's console goes to `console`.
    ///
    /// # Errors
    /// If the domain cannot be built or ends early.
    pub fn new(
        config: &DomainConfig,
        console: &'a mut dyn Write,
    ) -> Result<Session<'a>, DirectError> {
        let host = HostLayout::bare(config.mem_mib);
        let (domain, regs) = crate::domain::build(&Program::none(), config, &host)?;
        let console = RefCell::new(console);
        let kernel = Rc::new_cyclic(|weak| {
            Kernel::new(Direct::new(Weak::clone(weak), domain, regs, console))
        });
        kernel.machine().boot();
        let session = Session { kernel };
        session.alive().map(|()| session)
    }

    /// Runs `plan` and returns the cells, counted by the dispatch.
    ///
    /// # Errors
    /// If the domain ends early.
    pub fn lab(&self, plan: &str) -> Result<Vec<CellReport>, DirectError> {
        guest::lab::run(&*self.kernel, plan);
        self.alive()?;
        let mut domain = self.kernel.machine().domain.borrow_mut();
        Ok(std::mem::take(&mut domain.lab.cells))
    }

    /// Runs a program under the axes of `plan`; see [`program::run`].
    ///
    /// # Errors
    /// If the domain ends early, or the plan is wrong.
    pub fn program(&self, plan: &str, ops: &[Op]) -> Result<Trace, DirectError> {
        let trace = program::run(&*self.kernel, plan, ops);
        self.alive()?;
        trace.ok_or_else(|| DirectError::Plan(plan.to_owned()))
    }

    fn alive(&self) -> Result<(), DirectError> {
        match self.kernel.machine().ended.borrow().clone() {
            Some(why) => Err(DirectError::Ended(why)),
            None => Ok(()),
        }
    }
}

/// Runs `plan` on a new machine and returns the cells.
///
/// # Errors
/// If the domain cannot be built or ends early.
pub fn run(
    plan: &str,
    config: &DomainConfig,
    console: &mut dyn Write,
) -> Result<Vec<CellReport>, DirectError> {
    Session::new(config, console)?.lab(plan)
}

impl<'a> Direct<'a> {
    fn new(
        kernel: Weak<Kernel<Direct<'a>>>,
        domain: Domain,
        regs: Regs,
        console: RefCell<&'a mut dyn Write>,
    ) -> Direct<'a> {
        let first = domain.layout.boot_stack.0 + 1;
        let page = |n: u64| domain.layout.virt_base.add((first + n) * PAGE_SIZE);
        Direct {
            kernel,
            scratch: Scratch {
                causes: page(0),
                block: page(1),
                entries: page(1 + BLOCK_PAGES),
            },
            domain: RefCell::new(domain),
            regs: RefCell::new(regs),
            ports: Default::default(),
            cpu: Cell::new(0),
            ended: RefCell::new(None),
            console,
        }
    }

    /// What the real kernel does before the lab: entry point, event channels, the lab's page.
    fn boot(&self) {
        self.bind_events();
        (1..self.cpus()).for_each(|cpu| self.bring_up(cpu));
        let page = self.scratch.causes.0;
        self.trap(Nr::Lab, [u64::from(LAB_ATTACH), page, 0, 0, 0]);
    }

    /// One trap, and the upcall that is due on return from it.
    fn trap(&self, nr: Nr, args: [u64; 5]) -> i64 {
        let cpu = self.cpu.get();
        let mut domain = self.domain.borrow_mut();
        let mut regs = self.regs.borrow_mut();
        regs.rax = nr as u64;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8] = args;
        (regs.rcx, regs.r11) = (regs.rip, regs.rflags);
        let step = hypercall::syscall(&mut domain, cpu, &mut regs);
        // No TLB here, and nobody to kick: what the host would do is done.
        domain.take_effects();
        domain.kicks();
        let ret = regs.rax as i64;
        self.note(&step);
        let due = matches!(step, Step::Resume) && domain.upcall_due(cpu);
        drop((domain, regs));
        if due {
            self.upcall();
        }
        ret
    }

    /// Remembers what ended the domain, if this did.
    fn note(&self, step: &Step) {
        let why = match step {
            Step::Resume | Step::Yield | Step::Block { .. } | Step::Down => return,
            Step::Shutdown(reason) => format!("shutdown, reason {reason}"),
            Step::Crash(crash) => crash.reason.to_string(),
        };
        self.ended.borrow_mut().get_or_insert(why);
    }

    fn put(&self, at: Vaddr, bytes: &[u8]) {
        let domain = self.domain.borrow();
        let put = domain.kernel_view(self.cpu.get()).copy_out(at, bytes);
        drop(domain);
        if put.is_err() {
            self.note(&Step::Shutdown(u32::MAX));
        }
    }

    fn get(&self, at: Vaddr, bytes: &mut [u8]) {
        let domain = self.domain.borrow();
        let got = domain.kernel_view(self.cpu.get()).copy_in(at, bytes);
        drop(domain);
        if got.is_err() {
            self.note(&Step::Shutdown(u32::MAX));
        }
    }

    fn with_block(&self, nr: Nr, mut args: [u64; 5], slot: usize, block: &mut [u8]) -> i64 {
        self.put(self.scratch.block, block);
        args[slot] = self.scratch.block.0;
        let ret = self.trap(nr, args);
        self.get(self.scratch.block, block);
        ret
    }

    /// Publishes the cause for the time of one trap, as the kernel does.
    fn caused(&self, cause: Cause, trap: impl FnOnce() -> i64) -> i64 {
        let masked = self.irq_save();
        let word = self.scratch.causes.add(4 * self.cpu.get() as u64);
        let mut before = [0; 4];
        self.get(word, &mut before);
        self.put(word, &(cause as u32).to_le_bytes());
        let ret = trap();
        self.put(word, &before);
        self.irq_restore(masked);
        ret
    }
}

impl Machine for Direct<'_> {
    fn cpu(&self) -> usize {
        self.cpu.get()
    }

    fn cpus(&self) -> usize {
        self.domain.borrow().vcpus.len()
    }

    fn call(&self, cause: Cause, nr: Nr, args: [u64; 5]) -> i64 {
        self.caused(cause, || self.trap(nr, args))
    }

    fn call_with(
        &self,
        cause: Cause,
        nr: Nr,
        args: [u64; 5],
        slot: usize,
        block: &mut [u8],
    ) -> i64 {
        self.caused(cause, || self.with_block(nr, args, slot, block))
    }

    fn multicall(
        &self,
        cause: Cause,
        entries: &mut [MulticallEntry],
        relocate: u64,
        args: &mut [u8],
    ) -> i64 {
        self.put(self.scratch.block, args);
        for (i, entry) in entries.iter_mut().enumerate() {
            entry.args[0] += if relocate >> i & 1 == 1 {
                self.scratch.block.0
            } else {
                0
            };
        }
        self.put(self.scratch.entries, entries.as_bytes());
        let (at, count) = (self.scratch.entries.0, entries.len() as u64);
        let ret = self.call(cause, Nr::Multicall, [at, count, 0, 0, 0]);
        self.get(self.scratch.entries, entries.as_mut_bytes());
        ret
    }

    fn irq_save(&self) -> bool {
        let mut domain = self.domain.borrow_mut();
        let masked = domain.upcalls_masked(self.cpu.get());
        domain.mask_upcalls(self.cpu.get(), true);
        masked
    }

    fn irq_restore(&self, masked: bool) {
        let mut domain = self.domain.borrow_mut();
        domain.mask_upcalls(self.cpu.get(), masked);
        let due = domain.upcall_due(self.cpu.get());
        drop(domain);
        if due {
            self.force_upcall();
        }
    }

    fn timer_now(&self) {
        let mut arg = SetSingleshotTimer {
            timeout_abs_ns: 1,
            flags: 0,
            pad: 0,
        };
        let args = [
            u64::from(VCPUOP_SET_SINGLESHOT_TIMER),
            self.cpu.get() as u64,
            0,
            0,
            0,
        ];
        self.with_block(Nr::VcpuOp, args, 2, arg.as_mut_bytes());
    }

    fn ipi_self(&self) {
        self.send_ipi();
    }

    fn run_on(&self, cpu: usize, task: TaskId) {
        let here = self.cpu.replace(cpu);
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.run_task(task);
        }
        self.cpu.set(here);
    }

    fn switch_stacks(&self, _prev: TaskId, next: TaskId) {
        // A fresh task runs nested, to its end; a switch back is the return from that nesting.
        if let Some(kernel) = self.kernel.upgrade().filter(|k| k.is_fresh(next)) {
            kernel.task_main(next);
        }
    }

    fn root(&self) -> Mfn {
        self.domain.borrow().vcpus[self.cpu.get()].kernel_base
    }

    fn mfn(&self, pfn: Pfn) -> Mfn {
        self.domain.borrow().first_mfn().add(pfn.0)
    }

    fn free_frames(&self) -> (Pfn, u64) {
        let domain = self.domain.borrow();
        let first = Pfn(domain.layout.mapped.max(domain.layout.end.0));
        (first, domain.nr_pages.saturating_sub(first.0))
    }

    fn read_pte(&self, at: Maddr) -> Pte {
        self.load(at)
    }

    fn xchg_pte(&self, at: Maddr, new: Pte) -> Pte {
        self.write_table(at, None, new)
    }

    fn cmpxchg_pte(&self, at: Maddr, old: Pte, new: Pte) -> bool {
        self.write_table(at, Some(old), new) == old
    }

    fn store_pte(&self, at: Maddr, new: Pte) {
        self.write_table(at, None, new);
    }

    fn write_part(&self, at: Maddr, part: Part) -> bool {
        self.write_table_part(at, part)
    }

    fn fill(&self, mfn: Mfn, word: u64) {
        self.fill_frame(mfn, word);
    }

    fn protect(&self, _mfn: Mfn, _read_only: bool) {
        // The library's frames have no mapping of the guest's own here.
    }

    fn touch(&self, va: Vaddr, access: Access) -> Result<u64, Fault> {
        self.access(va, access)
    }

    fn invalidate(&self, va: Vaddr) {
        let mut op = MmuextOp {
            cmd: MMUEXT_INVLPG_LOCAL,
            arg1: va.0,
            ..MmuextOp::default()
        };
        let args = [0, 1, 0, u64::from(DOMID_SELF), 0];
        self.with_block(Nr::MmuextOp, args, 0, op.as_mut_bytes());
    }

    fn log(&self, line: std::fmt::Arguments<'_>) {
        // A console nobody reads loses its lines; the lab goes on.
        let _ = writeln!(self.console.borrow_mut(), "{line}");
    }
}

impl std::fmt::Debug for Direct<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct")
            .field("cpu", &self.cpu.get())
            .finish_non_exhaustive()
    }
}
