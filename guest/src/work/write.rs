//! Writes that the oracle follows: the model changes at once, and the entry is looked at as soon
//! as the API promises that it is there.

use super::Work;
use crate::config::Rmw;
use crate::kernel::Os;
use crate::meter::add;
use crate::mutants;
use crate::region::Region;
use hypercalls::{Pte, PteFlags, Vaddr};

impl Work<'_> {
    /// `set_pte_at` (B).
    pub(crate) fn set(&self, r: &Region, i: usize, pte: Pte) {
        if self.os.mutated(mutants::SET_PTES_NESTS) && self.os.core.meter.open.get() {
            return self.set_nesting(r, i, pte);
        }
        self.write(r, i, pte, |os| os.set_pte(r.at(os, i), pte));
    }

    /// The mutant's `set_ptes`, with a section of its own.
    fn set_nesting(&self, r: &Region, i: usize, pte: Pte) {
        let token = self.os.lazy_mmu_mode_enable();
        self.write(r, i, pte, |os| os.set_pte(r.at(os, i), pte));
        let done = token.and_then(|token| self.os.lazy_mmu_mode_disable(token));
        self.os.core.verdict.note(done);
    }

    /// `ptep_modify_prot_start` … `commit` (B, keeping A and D).
    pub(crate) fn commit(&self, r: &Region, i: usize, pte: Pte) {
        self.write(r, i, pte, |os| os.modify_prot_commit(r.at(os, i), pte));
    }

    /// [`Work::set`] where the oracle must not look yet: the workload compares by itself.
    pub(crate) fn set_unwatched(&self, r: &Region, i: usize, pte: Pte) {
        self.os.set_model(r, i, pte);
        self.os.set_pte(r.at(self.os, i), pte);
    }

    /// Looks at an entry that some releases leave in the queue here. If it is still there, that
    /// is the hazard `name`; the model keeps what will be there once the queue is flushed.
    pub(crate) fn stale(&self, r: &Region, i: usize, name: &'static str) {
        let intended = self.os.model(r, i);
        if self.os.hazard(r, i, name) {
            self.os.set_model(r, i, intended);
        }
    }

    /// A write that may be queued, followed by the oracle.
    fn write(&self, r: &Region, i: usize, pte: Pte, f: impl FnOnce(Os<'_>)) {
        let os = self.os;
        let full = os.core.meter.full.get();
        self.count_hint(r.va(i));
        f(os);
        let waits = os.queues();
        if !waits {
            os.set_model(r, i, pte);
        }
        if os.core.meter.full.get() != full {
            // The buffer went out before this write was queued: the model must not have it yet.
            os.promised();
        }
        os.set_model(r, i, pte);
        if waits {
            os.mark_dirty(r, i)
        } else {
            os.compare(r, i)
        }
    }

    fn count_hint(&self, va: Vaddr) {
        let hint = self.os.task(self.os.current()).lazy.get().hint;
        if hint.is_some_and(|h| h.start <= va && va < h.end) {
            add(&self.os.core.meter.hinted, 1);
        }
    }

    /// `ptep_get_and_clear` (T).
    pub(crate) fn get_and_clear(&self, r: &Region, i: usize) {
        self.os.get_and_clear(r.at(self.os, i));
        self.changed(r, i, Pte::EMPTY);
    }

    /// `ptep_set_wrprotect` (T).
    pub(crate) fn wrprotect(&self, r: &Region, i: usize) {
        self.os.set_wrprotect(r.at(self.os, i));
        self.changed(r, i, self.os.model(r, i).without(PteFlags::RW));
    }

    /// `ptep_test_and_clear_young` (T): A is gone at once, unless the axis queues such writes.
    pub(crate) fn make_old(&self, r: &Region, i: usize) {
        self.os.test_and_clear_young(r.at(self.os, i));
        if self.os.config().rmw != Rmw::Queued {
            self.os.compare_bit(r, i, PteFlags::ACCESSED, false);
        }
    }

    /// After a workload that ages every page, none of which was used since.
    pub(crate) fn all_old(&self, r: &Region) {
        (0..r.count).for_each(|i| self.os.compare_bit(r, i, PteFlags::ACCESSED, false));
    }

    /// After a read-modify-write: visible at once, unless the axis queues them.
    fn changed(&self, r: &Region, i: usize, pte: Pte) {
        self.os.set_model(r, i, pte);
        let queued = self.os.config().rmw == Rmw::Queued && self.os.queues();
        if queued {
            self.os.mark_dirty(r, i)
        } else {
            self.os.compare(r, i)
        }
    }
}
