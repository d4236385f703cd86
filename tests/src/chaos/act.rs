//! Carrying a sequence out, and what must hold after each step: the counts are right, no table is
//! writable, the records stay small, the domain can go on or has a reason why not.

use super::generate::{Act, Step};
use super::words::{Word, page_va};
use hypercalls::Vaddr;
use std::ops::AddAssign;
use xenlet::domain::{self, Domain, Regs};
use xenlet::dump;
use xenlet::{hypercall, trap};
use zerocopy::IntoBytes;

/// Memory: the 4 MiB that are mapped, and some frames that are not.
const MEM_MIB: u64 = 5;
/// Where code is put that traps, and the stack.
const CODE: u8 = 7;
const STACK: u8 = 9;
/// Continuations of one call after which it counts as endless.
const CONTINUED: u32 = 10_000;
/// Entries any record of the counters may have.
const RECORDS: usize = 1200;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Hypercalls, those in multicalls included.
    pub hypercalls: u64,
    /// Of them, those in multicalls.
    pub carried: u64,
    /// Exceptions.
    pub traps: u64,
    /// Recounts.
    pub recounts: u64,
    /// Times the domain's end was asked for.
    pub ended: u64,
}

impl Tally {
    /// Nothing yet.
    pub const NONE: Tally = Tally {
        hypercalls: 0,
        carried: 0,
        traps: 0,
        recounts: 0,
        ended: 0,
    };
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.hypercalls += more.hypercalls;
        self.carried += more.carried;
        self.traps += more.traps;
        self.recounts += more.recounts;
        self.ended += more.ended;
    }
}

/// Runs `steps` on a fresh domain of `cpus` vCPUs.
///
/// # Errors
/// What is wrong after a step.
pub fn sequence(cpus: usize, steps: &[Step], tally: &mut Tally) -> Result<(), String> {
    let mut guest = Guest::new(cpus)?;
    for step in steps {
        if guest.step(step, tally)?.is_none() {
            break;
        }
    }
    let counters = guest.dom.stats.counters;
    tally.hypercalls += counters.hypercalls + counters.multicall_entries;
    tally.carried += counters.multicall_entries;
    Ok(())
}

/// A domain without a kernel, and what its vCPUs have in their registers.
#[derive(Debug)]
pub struct Guest {
    /// The domain.
    pub dom: Domain,
    /// Registers by vCPU.
    pub regs: Vec<Regs>,
}

impl Guest {
    /// A fresh one of `cpus` vCPUs.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn new(cpus: usize) -> Result<Guest, String> {
        let (dom, regs) = Domain::bare(MEM_MIB, cpus).map_err(|e| e.to_string())?;
        let regs = vec![regs; cpus];
        Ok(Guest { dom, regs })
    }

    /// One step, judged; what came of it, or nothing if no vCPU is up.
    ///
    /// # Errors
    /// What is wrong after it.
    pub fn step(&mut self, step: &Step, tally: &mut Tally) -> Result<Option<domain::Step>, String> {
        let Some(cpu) = self.runnable(usize::from(step.cpu)) else {
            return Ok(None);
        };
        let next = self.perform(cpu, step, tally)?;
        self.judge(cpu, &next)?;
        tally.recounts += 1;
        self.settle(cpu, &next, tally);
        Ok(Some(next))
    }

    /// The vCPU at `index` or after it that is up.
    fn runnable(&mut self, index: usize) -> Option<usize> {
        let cpus = self.dom.vcpus.len();
        let cpu = (0..cpus)
            .map(|i| (index + i) % cpus)
            .find(|&cpu| self.dom.vcpus[cpu].up)?;
        if let Some(start) = self.dom.vcpus[cpu].start.take() {
            self.regs[cpu] = start;
        }
        Some(cpu)
    }

    fn perform(
        &mut self,
        cpu: usize,
        step: &Step,
        tally: &mut Tally,
    ) -> Result<domain::Step, String> {
        for (page, index, words) in &step.fills {
            self.fill(cpu, *page, *index, words);
        }
        Ok(match &step.act {
            Act::Call(nr, args) => return self.call(cpu, *nr, args),
            Act::Trap(code, vector, error, cr2, regs) => {
                tally.traps += 1;
                self.trap(cpu, code, (*vector, *error, *cr2), regs)
            }
            Act::Upcall => trap::deliver_upcall(&mut self.dom, cpu, &mut self.regs[cpu]),
            Act::Timers => {
                let now = self.dom.clock.now();
                self.dom.expire_timers(now.saturating_add(1 << 40));
                domain::Step::Resume
            }
        })
    }

    /// Writes words where the guest could write them itself.
    fn fill(&self, cpu: usize, page: u8, index: u16, words: &[Word]) {
        let values: Vec<u64> = words.iter().map(|w| w.value(&self.dom)).collect();
        let at = page_va(&self.dom, page).add(u64::from(index) * 8);
        // A guest that took its own page away has nothing to write to.
        let _ = self.dom.kernel_view(cpu).copy_out(at, values.as_bytes());
    }

    fn call(&mut self, cpu: usize, nr: u64, args: &[Word; 5]) -> Result<domain::Step, String> {
        let rip = page_va(&self.dom, CODE).0 + 2;
        let values = args.map(|w| w.value(&self.dom));
        let stack = page_va(&self.dom, 5).0;
        let regs = &mut self.regs[cpu];
        regs.rax = nr;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8] = values;
        (regs.rip, regs.rsp) = (rip, stack);
        for _ in 0..CONTINUED {
            self.regs[cpu].rip = rip;
            let rax = self.regs[cpu].rax;
            let step = hypercall::syscall(&mut self.dom, cpu, &mut self.regs[cpu]);
            let again = step == domain::Step::Resume
                && self.regs[cpu].rip == rip - 2
                && self.regs[cpu].rax == rax;
            if !again {
                return Ok(step);
            }
        }
        Err(format!("hypercall {nr} was continued {CONTINUED} times"))
    }

    fn trap(
        &mut self,
        cpu: usize,
        code: &[u8],
        (vector, error, cr2): (u8, u64, Word),
        words: &[Word; 4],
    ) -> domain::Step {
        let at = page_va(&self.dom, CODE);
        let _ = self.dom.kernel_view(cpu).copy_out(at, code);
        let [rax, rsi, rcx, rdi] = words.map(|w| w.value(&self.dom));
        let stack = page_va(&self.dom, STACK).0;
        let regs = &mut self.regs[cpu];
        (regs.rax, regs.rsi, regs.rcx, regs.rdi) = (rax, rsi, rcx, rdi);
        (regs.rip, regs.rsp) = (at.0, stack);
        let cr2 = cr2.value(&self.dom);
        trap::exception(&mut self.dom, cpu, &mut self.regs[cpu], vector, error, cr2)
    }

    /// What the run loop would do. A domain that ended goes on here: what it leaves must be as
    /// sound as what a live one has.
    fn settle(&mut self, cpu: usize, step: &domain::Step, tally: &mut Tally) {
        self.dom.take_effects();
        self.dom.kicks();
        self.dom.console.take_output();
        match step {
            domain::Step::Resume | domain::Step::Down => {}
            domain::Step::Yield | domain::Step::Block { .. } => self.dom.resume(cpu),
            domain::Step::Shutdown(_) => tally.ended += 1,
            domain::Step::Crash(crash) => {
                tally.ended += 1;
                assert!(dump::render(&self.dom, crash).lines().count() > 8);
            }
        }
        // Without a CPU nothing runs in user mode, nor where a domain crashed: back to the kernel.
        self.regs[cpu].rip = page_va(&self.dom, CODE).0;
        self.dom.vcpus[cpu].set_mode(true);
    }

    fn judge(&mut self, cpu: usize, next: &domain::Step) -> Result<(), String> {
        recounted(&mut self.dom)?;
        let stats = &self.dom.stats;
        if stats.batch_sizes.len() > RECORDS || self.dom.lab.cells.len() > domain::MAX_CELLS {
            return Err("the counters grow without bound".to_owned());
        }
        let rip = self.regs[cpu].rip;
        match next {
            domain::Step::Resume if !Vaddr(rip).is_canonical() => {
                Err(format!("would enter the guest at {rip:#x}"))
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with the counts of `dom`; nothing on a vCPU runs.
///
/// # Errors
/// Each difference, a line.
pub fn recounted(dom: &mut Domain) -> Result<(), String> {
    // What the last call left under way is finished first.
    dom.mm.settle(&dom.memory);
    let wrong = dom.recount();
    let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        Ok(())
    } else {
        Err(lines.join("\n"))
    }
}
