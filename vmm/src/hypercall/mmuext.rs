//! `mmuext_op`: pins, base pointers, flushes, the LDT, whole-page clears and copies.

use super::batch::{Batch, Request};
use super::mmu::{Foreign, Mmu, Progress, foreign};
use super::work;
use crate::mm::{Refusal, is_guest};
use hypercalls::mmu::*;
use hypercalls::{DomId, Level, Mfn, Nr, PAGE_SIZE, Vaddr};

/// A local descriptor table, as a guest set it. Its pages are of no type, where Xen makes them pages of
/// descriptors as the CPU first uses them: here no CPU does. Guests run on the hypervisor's own GDT,
/// without an LDT; what a selector names is read as a copy each time, by the guest's own tables, and
/// gives no more than a base. So the guest may write to them at any time, even to its live one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ldt {
    /// Where it begins, page aligned.
    pub base: Vaddr,
    /// How many descriptors it has; 0 for none.
    pub entries: u32,
}

/// The most descriptors an LDT can have: 64 KiB of them.
pub const LDT_ENTRIES: u64 = (64 << 10) / 8;

impl Request for MmuextOp {
    // A request may change the tables that the next one is read by.
    const AHEAD: usize = 1;
    const WORK: u64 = work::OPERATION;
}

/// `mmuext_op` (array, count, done, foreign domain).
pub fn mmuext_op(mmu: &mut Mmu<'_>, args: [u64; 6]) -> Progress {
    let domain = args[3] as DomId;
    let opened =
        Batch::open::<MmuextOp>(mmu, args).and_then(|batch| check_domain(domain).map(|()| batch));
    match opened {
        Ok(batch) => batch.run(mmu, counted),
        Err(refusal) => Progress::Done(mmu.mm.refuse(refusal)),
    }
}

fn check_domain(domain: DomId) -> Result<(), Refusal> {
    match foreign(domain)? {
        Foreign::Own => Ok(()),
        Foreign::Io | Foreign::Xen => Err(Refusal::ForeignDenied { domain }),
    }
}

/// One request, counted once it is over.
fn counted(mmu: &mut Mmu<'_>, op: MmuextOp) -> Result<(), Refusal> {
    let result = operate(mmu, op);
    if !matches!(result, Err(Refusal::Unfinished)) {
        mmu.operations.count(Nr::MmuextOp, op.cmd);
    }
    result
}

fn operate(mmu: &mut Mmu<'_>, op: MmuextOp) -> Result<(), Refusal> {
    let (mfn, va) = (Mfn(op.arg1), Vaddr(op.arg1));
    match op.cmd {
        MMUEXT_PIN_L1_TABLE => mmu.mm.pin(mmu.mem, Level::L1, mfn),
        MMUEXT_PIN_L2_TABLE => mmu.mm.pin(mmu.mem, Level::L2, mfn),
        MMUEXT_PIN_L3_TABLE => mmu.mm.pin(mmu.mem, Level::L3, mfn),
        MMUEXT_PIN_L4_TABLE => mmu.mm.pin(mmu.mem, Level::L4, mfn),
        MMUEXT_UNPIN_TABLE => mmu.mm.unpin(mmu.mem, mfn),
        MMUEXT_NEW_BASEPTR => new_baseptr(mmu, mfn),
        MMUEXT_NEW_USER_BASEPTR => new_user_baseptr(mmu, mfn),
        MMUEXT_TLB_FLUSH_LOCAL => flush(mmu, None, mmu.this_cpu()),
        MMUEXT_INVLPG_LOCAL => flush(mmu, Some(va), mmu.this_cpu()),
        MMUEXT_TLB_FLUSH_MULTI => flush(mmu, None, mask_of(mmu, op)?),
        MMUEXT_INVLPG_MULTI => flush(mmu, Some(va), mask_of(mmu, op)?),
        MMUEXT_TLB_FLUSH_ALL => flush(mmu, None, mmu.mm.vcpus()),
        MMUEXT_INVLPG_ALL => flush(mmu, Some(va), mmu.mm.vcpus()),
        MMUEXT_FLUSH_CACHE => Err(Refusal::CacheFlush),
        MMUEXT_FLUSH_CACHE_GLOBAL => Err(Refusal::CacheFlushGlobal),
        MMUEXT_SET_LDT => set_ldt(mmu, va, op.arg2),
        MMUEXT_CLEAR_PAGE => mmu.mm.clear_page(mmu.mem, mfn),
        MMUEXT_COPY_PAGE => mmu.mm.copy_page(mmu.mem, mfn, Mfn(op.arg2)),
        MMUEXT_MARK_SUPER | MMUEXT_UNMARK_SUPER => Err(Refusal::Unsupported {
            command: op.cmd.into(),
        }),
        command => Err(Refusal::UnknownCommand {
            command: command.into(),
        }),
    }
}

/// Loads the kernel's table. Loading the one in use is a flush.
fn new_baseptr(mmu: &mut Mmu<'_>, mfn: Mfn) -> Result<(), Refusal> {
    mmu.mm.new_baseptr(mmu.mem, Some(*mmu.kernel_base), mfn)?;
    *mmu.kernel_base = mfn;
    let cpu = mmu.this_cpu();
    mmu.mm.flush_all(cpu);
    Ok(())
}

/// Sets the table for user mode; frame 0 is none. Nothing is flushed: the vCPU is in kernel mode, on
/// another CR3 or on a table it keeps, and the way to user mode loads this one. A CR3 that changes makes
/// KVM flush whichever paging there is, and nothing global outlives that without CR4.PGE. The table of
/// before may come back with other entries: still by way of the kernel's CR3.
fn new_user_baseptr(mmu: &mut Mmu<'_>, mfn: Mfn) -> Result<(), Refusal> {
    let (old, new) = (*mmu.user_base, (mfn != Mfn(0)).then_some(mfn));
    if old == new {
        return Ok(());
    }
    match (old, new) {
        (old, Some(new)) => mmu.mm.new_baseptr(mmu.mem, old, new)?,
        (Some(old), None) => mmu.mm.drop_baseptr(mmu.mem, old),
        (None, None) => {}
    }
    *mmu.user_base = new;
    Ok(())
}

/// The vCPUs a request names: a mask in the guest's memory. No more than 64 can exist.
fn mask_of(mmu: &Mmu<'_>, op: MmuextOp) -> Result<u64, Refusal> {
    let va = Vaddr(op.arg2);
    let read = mmu.view().read_obj(va);
    read.map_err(|_| Refusal::BadMask { va })
}

/// Flushes one page, or everything. An address the guest cannot have has no translation to drop.
fn flush(mmu: &mut Mmu<'_>, page: Option<Vaddr>, mask: u64) -> Result<(), Refusal> {
    match page {
        None => mmu.mm.flush_all(mask),
        Some(va) if is_guest(va) => mmu.mm.flush_page(mask, va),
        Some(_) => {}
    }
    Ok(())
}

fn set_ldt(mmu: &mut Mmu<'_>, base: Vaddr, entries: u64) -> Result<(), Refusal> {
    if !base.0.is_multiple_of(PAGE_SIZE) || !is_guest(base) || entries > LDT_ENTRIES {
        return Err(Refusal::BadLdt { base, entries });
    }
    *mmu.ldt = Ldt {
        base,
        entries: entries as u32,
    };
    Ok(())
}

#[cfg(test)]
mod truth;
