//! `mmu_update`, and what all page-table hypercalls share: the parts of the domain they touch, how
//! they end, and whom their foreign-domain argument may name.

use super::batch::{Batch, Request};
use super::mmuext::Ldt;
use super::work;
use crate::memory::Memory;
use crate::mm::{GuestView, Mm, Owner, Refusal, Update};
use crate::stats::Operations;
use hypercalls::mmu::{
    MMU_COMMAND_MASK, MMU_MACHPHYS_UPDATE, MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_NO_TRANSLATE,
    MMU_PT_UPDATE_PRESERVE_AD, MmuUpdate,
};
use hypercalls::{DOMID_IO, DOMID_SELF, DOMID_XEN, DomId, Maddr, Mfn, Pte};

/// What the page-table hypercalls of one vCPU work on.
#[derive(Debug)]
pub struct Mmu<'a> {
    /// The rules.
    pub mm: &'a mut Mm,
    /// The machine's memory.
    pub mem: &'a Memory,
    /// The calling vCPU.
    pub cpu: usize,
    /// The calling domain's number.
    pub domid: DomId,
    /// The vCPU's L4 in kernel mode.
    pub kernel_base: &'a mut Mfn,
    /// The vCPU's L4 in user mode, if it has one.
    pub user_base: &'a mut Option<Mfn>,
    /// The vCPU's LDT.
    pub ldt: &'a mut Ldt,
    /// What is counted of them.
    pub operations: &'a mut Operations,
}

impl Mmu<'_> {
    /// The guest's memory as its kernel sees it now.
    #[must_use]
    pub fn view(&self) -> GuestView<'_> {
        GuestView {
            mem: self.mem,
            root: *self.kernel_base,
        }
    }

    /// The mask of the calling vCPU alone.
    #[must_use]
    pub fn this_cpu(&self) -> u64 {
        1u64.checked_shl(self.cpu as u32).unwrap_or(0)
    }
}

/// How a hypercall ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// With this result.
    Done(i64),
    /// Cut short: to be executed again with these arguments, after pending events had their turn.
    Continue([u64; 6]),
}

/// Whose frames a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The caller's own.
    Own,
    /// Nobody's: I/O memory.
    Io,
    /// The hypervisor's, which a guest has no rights over.
    Xen,
}

/// Reads a foreign-domain argument.
///
/// # Errors
/// No domain but the caller exists, and it must not name itself by number.
pub fn foreign(domain: DomId) -> Result<Foreign, Refusal> {
    match domain {
        DOMID_SELF => Ok(Foreign::Own),
        DOMID_IO => Ok(Foreign::Io),
        DOMID_XEN => Ok(Foreign::Xen),
        domain => Err(Refusal::UnknownDomain { domain }),
    }
}

impl Foreign {
    /// Whose frames an L1 entry may map then.
    ///
    /// # Errors
    /// If a guest has no rights over that domain.
    pub fn owner(self) -> Result<Owner, Refusal> {
        match self {
            Foreign::Own => Ok(Owner::Guest),
            Foreign::Io => Ok(Owner::Io),
            Foreign::Xen => Err(Refusal::ForeignDenied { domain: DOMID_XEN }),
        }
    }
}

impl Request for MmuUpdate {
    const AHEAD: usize = 32;
    const WORK: u64 = work::UPDATE;
}

/// `mmu_update` (array, count, done, foreign domain | table domain + 1 << 16).
pub fn mmu_update(mmu: &mut Mmu<'_>, args: [u64; 6]) -> Progress {
    let domains = args[3] as u32;
    let opened = Batch::open::<MmuUpdate>(mmu, args)
        .and_then(|batch| check_table_domain(mmu, domains >> 16).map(|()| batch));
    let batch = match opened {
        Ok(batch) => batch,
        Err(refusal) => return Progress::Done(mmu.mm.refuse(refusal)),
    };
    match foreign(domains as DomId) {
        Ok(foreign) => batch.run(mmu, |mmu, request| update(mmu, foreign, request)),
        Err(refusal) => {
            batch.report(mmu, 0);
            Progress::Done(mmu.mm.refuse(refusal))
        }
    }
}

/// The domain whose tables are written, plus one: only the caller's own, or 0 for it.
fn check_table_domain(mmu: &Mmu<'_>, plus_one: u32) -> Result<(), Refusal> {
    if plus_one == 0 || plus_one - 1 == u32::from(mmu.domid) {
        return Ok(());
    }
    let domain = (plus_one - 1) as DomId;
    Err(Refusal::UnknownDomain { domain })
}

/// One request.
fn update(mmu: &mut Mmu<'_>, foreign: Foreign, request: MmuUpdate) -> Result<(), Refusal> {
    let at = Maddr(request.ptr & !MMU_COMMAND_MASK);
    match request.ptr & MMU_COMMAND_MASK {
        command @ (MMU_NORMAL_PT_UPDATE
        | MMU_PT_UPDATE_PRESERVE_AD
        | MMU_PT_UPDATE_NO_TRANSLATE) => {
            let update = Update {
                preserve_ad: command == MMU_PT_UPDATE_PRESERVE_AD,
                owner: foreign.owner()?,
            };
            mmu.mm.set_pte(mmu.mem, at, Pte(request.val), update)
        }
        MMU_MACHPHYS_UPDATE => match foreign.owner()? {
            Owner::Guest => mmu.mm.machphys(mmu.mem, at.mfn(), request.val),
            Owner::Io => Err(Refusal::BadFrame { mfn: at.mfn() }),
        },
        command => Err(Refusal::UnknownCommand { command }),
    }
}

#[cfg(test)]
mod truth;
