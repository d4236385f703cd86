//! What the workloads are made of: sections that are measured, writes that the oracle follows,
//! the helper task that preempts. A workload is a kernel function's inner loop in these terms.

mod section;
mod write;

use crate::config::Release;
use crate::kernel::Os;
use crate::machine::TaskId;
use crate::mmu::Bug;
use crate::mmu::lazy::Mode;
use crate::region::{Place, Region};
use core::ops::Range;
use hypercalls::{Pte, PteFlags};

/// Why a workload ends before its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// The modelled kernel stops here.
    Bug(Bug),
    /// Not part of this release, or not on this machine.
    Skip(&'static str),
    /// The test's own fault.
    Error(&'static str),
}

impl From<Bug> for Stop {
    fn from(bug: Bug) -> Self {
        Stop::Bug(bug)
    }
}

/// What a workload returns.
pub(crate) type Done = Result<(), Stop>;

/// How a section is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enter {
    /// `lazy_mmu_mode_enable`.
    Plain,
    /// `lazy_mmu_mode_enable_with_ptes`, at the call sites that v6 converts.
    WithPtes,
    /// This release has no section here.
    Nothing,
}

/// A workload's hands.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    /// The kernel.
    pub os: Os<'a>,
    /// Entries to work on.
    pub ptes: usize,
    /// The release whose call sites these are.
    pub release: Release,
}

impl<'a> Work<'a> {
    /// For the cell that `os` is set up for.
    pub(crate) fn new(os: Os<'a>) -> Self {
        Work {
            os,
            ptes: os.config().ptes,
            release: os.policy().release,
        }
    }

    /// A writable user entry.
    pub(crate) fn user(&self, i: usize) -> Pte {
        self.kernel(i).with(PteFlags::USER)
    }

    /// A read-only user entry.
    pub(crate) fn user_ro(&self, i: usize) -> Pte {
        self.user(i).without(PteFlags::RW | PteFlags::DIRTY)
    }

    /// A writable kernel entry.
    pub(crate) fn kernel(&self, i: usize) -> Pte {
        let flags =
            PteFlags::PRESENT | PteFlags::RW | PteFlags::ACCESSED | PteFlags::DIRTY | PteFlags::NX;
        Pte::new(self.os.data_frame(i), flags)
    }

    /// An entry that is not present but not empty: swapped out, or a migration's marker.
    pub(crate) fn swap(&self, i: usize) -> Pte {
        Pte((i as u64 + 1) << 14 | PteFlags::GLOBAL.bits())
    }

    /// Builds a region of as many entries as the workload has.
    pub(crate) fn region(&self, place: Place, init: &dyn Fn(usize) -> Pte) -> Result<Region, Stop> {
        self.region_of(place, self.ptes, init)
    }

    /// Builds a region of `count` entries.
    pub(crate) fn region_of(
        &self,
        place: Place,
        count: usize,
        init: &dyn Fn(usize) -> Pte,
    ) -> Result<Region, Stop> {
        let region = Region::build(self.os, place, count, init)?;
        (0..count).for_each(|i| self.os.set_model(&region, i, init(i)));
        Ok(region)
    }

    /// The region another task of this workload has built.
    pub(crate) fn built(&self, place: Place) -> Result<Region, Stop> {
        self.os.core.oracle.regions[place as usize]
            .get()
            .ok_or(Stop::Error("no such region"))
    }

    /// Sleeping here would be wrong if the section were still open. 6.1 does it in one place.
    pub(crate) fn might_sleep(&self, name: &'static str) {
        let os = self.os;
        if !os.queues() && os.cpu().lazy.get().mode != Mode::Mmu {
            return;
        }
        if self.release == Release::V6_1 {
            os.core.verdict.hazard(name);
        } else {
            os.violated(format_args!("{name}"));
        }
    }

    /// A task of another process that runs once and checks that the section it interrupts has
    /// left nothing in the queue. Not runnable yet.
    pub(crate) fn preemptor(&self) -> Result<TaskId, Stop> {
        self.os
            .fork(2, |os, _| os.promised(), 0)
            .ok_or(Stop::Error("no free task"))
    }

    /// The timer fires, and `by` gets the CPU if nothing forbids it.
    pub(crate) fn preempt(&self, by: TaskId) {
        self.os.wake(by);
        self.os.machine.timer_now();
    }

    /// Ends the cell if the kernel died meanwhile: in a context switch, say.
    pub(crate) fn alive(&self) -> Done {
        self.os
            .core
            .verdict
            .bug_on()
            .map_or(Ok(()), |bug| Err(Stop::Bug(bug)))
    }
}

/// Where a structure in the middle of a section of `entries` begins.
pub(crate) fn middle(entries: &Range<usize>) -> usize {
    entries.start + entries.len() / 2
}
