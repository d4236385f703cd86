//! Sections: entered as the call site does, measured from right before enable to right after
//! disable, followed by the promise that what was written is visible.

use super::{Done, Enter, Stop, Work};
use crate::frames::PER_TABLE;
use crate::mmu::{Hint, Token};
use crate::region::Region;
use core::ops::Range;
use hypercalls::Nr;
use hypercalls::lab::{Cause, LAB_BEGIN, LAB_END};

impl Work<'_> {
    /// The entries of each table: a section never crosses one.
    pub(crate) fn tables(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let ptes = self.ptes;
        (0..ptes)
            .step_by(PER_TABLE)
            .map(move |from| from..ptes.min(from + PER_TABLE))
    }

    /// Counts what `f` does. Sections of one cell add up.
    pub(crate) fn measured(&self, f: impl FnOnce() -> Done) -> Done {
        self.lab(LAB_BEGIN);
        self.os.core.meter.open.set(true);
        let done = f();
        self.os.core.meter.open.set(false);
        self.lab(LAB_END);
        done
    }

    fn lab(&self, op: u32) {
        let args = [u64::from(op), 0, 0, 0, 0];
        self.os.machine.call(Cause::Kernel, Nr::Lab, args);
    }

    /// Enable, `f`, disable, all measured; then what was written must be visible.
    pub(crate) fn section(
        &self,
        r: &Region,
        entries: Range<usize>,
        enter: Enter,
        f: impl FnOnce() -> Done,
    ) -> Done {
        self.measured(|| {
            let token = self.enter(r, entries, enter)?;
            f()?;
            self.leave(token)
        })?;
        self.os.promised();
        Ok(())
    }

    /// As [`Work::section`], with the page-table lock held: no preemption.
    pub(crate) fn locked_section(
        &self,
        r: &Region,
        entries: Range<usize>,
        enter: Enter,
        f: impl FnOnce() -> Done,
    ) -> Done {
        self.os.preempt_disable();
        let done = self.section(r, entries, enter, f);
        self.os.preempt_enable();
        done
    }

    /// One locked section a table, `f` on each entry.
    pub(crate) fn each_locked(&self, r: &Region, enter: Enter, f: impl Fn(usize)) -> Done {
        self.tables().try_for_each(|entries| {
            self.locked_section(r, entries.clone(), enter, || {
                entries.for_each(&f);
                Ok(())
            })
        })
    }

    /// One section a table without a lock, as for `init_mm`, `f` on each entry.
    pub(crate) fn each(&self, r: &Region, enter: Enter, f: impl Fn(usize) -> Done) -> Done {
        self.tables().try_for_each(|entries| {
            self.section(r, entries.clone(), enter, || {
                entries.into_iter().try_for_each(&f)
            })
        })
    }

    /// Enters as the call site does.
    pub(crate) fn enter(
        &self,
        r: &Region,
        entries: Range<usize>,
        enter: Enter,
    ) -> Result<Option<Token>, Stop> {
        let hint = Hint {
            start: r.va(entries.start),
            end: r.va(entries.end),
        };
        Ok(match enter {
            Enter::Nothing => None,
            Enter::Plain => Some(self.os.lazy_mmu_mode_enable()?),
            Enter::WithPtes => Some(self.os.lazy_mmu_mode_enable_with_ptes(hint)?),
        })
    }

    /// Leaves what was entered.
    pub(crate) fn leave(&self, token: Option<Token>) -> Done {
        match token {
            Some(token) => Ok(self.os.lazy_mmu_mode_disable(token)?),
            None => Ok(()),
        }
    }
}
