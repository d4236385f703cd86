//! The independent recount of the page-table rules, from what a domain holds. For tests, fuzzing
//! and a debug mode: it reads every live table.

use super::{Domain, GRANT_FRAMES};
use crate::mm::recount::{Difference, Roots, recount};
use hypercalls::Mfn;

impl Domain {
    /// What holds frames from outside the page tables.
    #[must_use]
    pub fn roots(&self) -> Roots {
        let frames = (0..self.memory.frames()).map(Mfn);
        let pinned = frames.filter(|&mfn| self.mm.is_pinned(mfn));
        let level = |mfn| self.mm.type_of(mfn).level().map(|level| (level, mfn));
        let given = self.vcpus.iter().filter(|v| v.initialised);
        let bases = given.flat_map(|v| [Some(v.kernel_base), v.user_base]);
        let moved = self.vcpus.iter().filter(|v| v.info_registered);
        let writable = moved.map(|v| v.info.mfn());
        let rings = self.services.frames();
        let ours = (0..=GRANT_FRAMES).map(|i| self.shared_info.mfn().add(i));
        let shared = rings.into_iter().chain(ours);
        let descriptors = self.vcpus.iter().flat_map(|v| v.gdt.frames.iter().copied());
        Roots {
            pins: pinned.filter_map(level).collect(),
            bases: bases.flatten().collect(),
            held: self.mm.kept().collect(),
            descriptors: descriptors.collect(),
            writable: writable.chain(shared).collect(),
        }
    }

    /// Every reference that is not as an independent count finds it, and every entry that must
    /// not be. Of use only while no tree is under way (`mm.settle`).
    #[must_use]
    pub fn recount(&self) -> Vec<Difference> {
        recount(&self.memory, &self.mm, &self.roots())
    }
}
