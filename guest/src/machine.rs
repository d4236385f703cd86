//! What the guest library needs of the machine it runs on. Two implementors: the PV kernel (real
//! hypercalls, real stacks) and the VMM's direct backend (its dispatch, called in one process).
//!
//! A machine moves bytes and stacks; it decides nothing. What is batched, when it is flushed and
//! why is the library's business, so that both machines count alike.

use hypercalls::lab::Cause;
use hypercalls::multicall::MulticallEntry;
use hypercalls::{Maddr, Mfn, Nr, Pfn, Pte, Vaddr};

/// A task's number: an index into the scheduler's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub usize);

/// How [`Machine::touch`] uses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads eight bytes.
    Read,
    /// Stores this value.
    Write(u64),
}

/// A page fault that [`Machine::touch`] ran into: the #PF error code as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub u64);

/// A write to a part of a page-table entry, by one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `mov` of 1 byte.
    Byte(u8),
    /// `mov` of 2.
    Word(u16),
    /// `mov` of 4.
    Dword(u32),
    /// `lock bts` of this bit of the entry.
    Set(u8),
    /// `lock btr`.
    Clear(u8),
}

/// The machine beneath the guest library. No method panics on any argument the library gives.
pub trait Machine {
    /// The vCPU this runs on, from 0. Changes only across [`Machine::switch_stacks`].
    fn cpu(&self) -> usize;

    /// How many vCPUs there are.
    fn cpus(&self) -> usize;

    /// Whether the hypervisor grants this domain what it grants the machine's first one only.
    fn is_privileged(&self) -> bool {
        false
    }

    /// A hypercall whose arguments are all values. `cause` is published before the trap. The
    /// result as rax holds it: negative is an error number.
    fn call(&self, cause: Cause, nr: Nr, args: [u64; 5]) -> i64;

    /// A hypercall of which argument `slot` points to `block`: the machine puts `block` where the
    /// hypervisor can reach it, sets `args[slot]` to that address, calls, and copies `block` back.
    fn call_with(&self, cause: Cause, nr: Nr, args: [u64; 5], slot: usize, block: &mut [u8])
    -> i64;

    /// One `multicall`. Entries' first arguments are offsets into `args`; the machine relocates
    /// them where `relocate` has that entry's bit set. Results are left in the entries.
    fn multicall(
        &self,
        cause: Cause,
        entries: &mut [MulticallEntry],
        relocate: u64,
        args: &mut [u8],
    ) -> i64;

    /// Masks event upcalls on this vCPU; whether they were masked before.
    fn irq_save(&self) -> bool;

    /// Restores what [`Machine::irq_save`] returned; an event that waits is taken before this
    /// returns.
    fn irq_restore(&self, masked: bool);

    /// Makes the one-shot timer fire at this very point: on return its handler has run, unless
    /// upcalls are masked, and a switch of tasks that it caused is over.
    fn timer_now(&self);

    /// Sends this vCPU an inter-processor interrupt at this very point, as [`Machine::timer_now`].
    fn ipi_self(&self);

    /// Lets vCPU `cpu` run task `task` next, as soon as it is idle, and waits until it is idle
    /// again: how a preempted task goes on elsewhere. Only with more than one vCPU.
    fn run_on(&self, cpu: usize, task: TaskId);

    /// Goes on as `next`; returns when something switches back to `prev`. The scheduler has done
    /// all bookkeeping and all hypercalls of the switch before.
    fn switch_stacks(&self, prev: TaskId, next: TaskId);

    /// The L4 in use.
    fn root(&self) -> Mfn;

    /// The machine frame of a pseudo-physical one that the guest owns.
    fn mfn(&self, pfn: Pfn) -> Mfn;

    /// First pseudo-physical frame that is free, and how many are.
    fn free_frames(&self) -> (Pfn, u64);

    /// Reads a page-table entry through the guest's own mapping of that frame.
    fn read_pte(&self, at: Maddr) -> Pte;

    /// Swaps a page-table entry with one locked instruction (`xchg`). The table is mapped
    /// read-only if it is live: the write faults and the hypervisor emulates it.
    fn xchg_pte(&self, at: Maddr, new: Pte) -> Pte;

    /// Replaces a page-table entry if it still is `old` (`lock cmpxchg`), as
    /// [`Machine::xchg_pte`]; whether it was.
    fn cmpxchg_pte(&self, at: Maddr, old: Pte, new: Pte) -> bool;

    /// Stores to a page-table entry with a plain `mov`, as [`Machine::xchg_pte`].
    fn store_pte(&self, at: Maddr, new: Pte);

    /// Writes a part of a page-table entry, as [`Machine::xchg_pte`]; of a bit, whether it was set.
    fn write_part(&self, at: Maddr, part: Part) -> bool;

    /// Fills a data frame of the guest's with `word`, through its own mapping.
    fn fill(&self, mfn: Mfn, word: u64);

    /// Makes the guest's own mapping of a frame read-only, as a page-table page needs, or
    /// writable again. Cause [`Cause::Kernel`].
    fn protect(&self, mfn: Mfn, read_only: bool);

    /// Uses `va` as the CPU does; the value read, or stored.
    ///
    /// # Errors
    /// The fault, if it does not translate or the entry forbids the access.
    fn touch(&self, va: Vaddr, access: Access) -> Result<u64, Fault>;

    /// Drops `va`'s cached translation (`MMUEXT_INVLPG_LOCAL`). Cause [`Cause::Kernel`].
    fn invalidate(&self, va: Vaddr);

    /// A line on the console.
    fn log(&self, line: core::fmt::Arguments<'_>);
}
