//! `update_va_mapping`: the L1 entry of a virtual address, and the flush that goes with it.

use super::mmu::{Foreign, Mmu, Progress, foreign};
use crate::mm::{FrameType, Refusal, Update, is_guest, walk};
use hypercalls::mmu::{UVMF_ALL, UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_TLB_FLUSH};
use hypercalls::{DOMID_SELF, DomId, Maddr, Pte, Vaddr};

/// `update_va_mapping` (va, entry, flags).
pub fn update_va_mapping(mmu: &mut Mmu<'_>, args: [u64; 6]) -> Progress {
    answer(mmu, args, DOMID_SELF)
}

/// `update_va_mapping_otherdomain` (va, entry, flags, foreign domain).
pub fn update_va_mapping_otherdomain(mmu: &mut Mmu<'_>, args: [u64; 6]) -> Progress {
    answer(mmu, args, args[3] as DomId)
}

fn answer(mmu: &mut Mmu<'_>, args: [u64; 6], domain: DomId) -> Progress {
    let [va, new, flags, ..] = args;
    match update(mmu, Vaddr(va), Pte(new), flags, domain) {
        Ok(()) => Progress::Done(0),
        Err(Refusal::Unfinished) => Progress::Continue(args),
        Err(refusal) => Progress::Done(mmu.mm.refuse(refusal)),
    }
}

fn update(
    mmu: &mut Mmu<'_>,
    va: Vaddr,
    new: Pte,
    flags: u64,
    domain: DomId,
) -> Result<(), Refusal> {
    if foreign(domain)? != Foreign::Own {
        return Err(Refusal::ForeignDenied { domain });
    }
    let at = l1_entry(mmu, va).ok_or(Refusal::NoL1 { va })?;
    mmu.mm.set_pte(mmu.mem, at, new, Update::default())?;
    flush(mmu, va, flags)
}

/// The live L1 entry that maps `va`.
fn l1_entry(mmu: &Mmu<'_>, va: Vaddr) -> Option<Maddr> {
    let at = walk::l1_entry(mmu.mem, *mmu.kernel_base, va)?;
    (is_guest(va) && mmu.mm.type_of(at.mfn()) == FrameType::L1).then_some(at)
}

/// What the flags ask for: what kind of flush, and on which vCPUs.
fn flush(mmu: &mut Mmu<'_>, va: Vaddr, flags: u64) -> Result<(), Refusal> {
    let kind = flags & UVMF_FLUSHTYPE_MASK;
    if kind != UVMF_TLB_FLUSH && kind != UVMF_INVLPG {
        return Ok(());
    }
    let (mask, read) = match flags & !UVMF_FLUSHTYPE_MASK {
        0 => (mmu.this_cpu(), Ok(())),
        UVMF_ALL => (mmu.mm.vcpus(), Ok(())),
        at => match mmu.view().read_obj(Vaddr(at)) {
            Ok(mask) => (mask, Ok(())),
            // The entry is written already: flush wherever it may have been meant.
            Err(efault) => (mmu.mm.vcpus(), Err(efault.into())),
        },
    };
    match kind {
        UVMF_TLB_FLUSH => mmu.mm.flush_all(mask),
        _ => mmu.mm.flush_page(mask, va),
    }
    read
}

#[cfg(test)]
mod truth;
