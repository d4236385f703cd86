//! Which operation of a guest's program traps, and from where: what is counted between its markers
//! (`hypercalls::measure`).
//!
//! Owns the open operation, the finished ones and the table of call sites. Comes in: markers, each
//! hypercall trap with its call site, emulated writes, exceptions delivered, each with the task
//! they happened in. Goes out: a [`Sample`] a repetition. Nothing here knows KVM; nothing is
//! counted or looked up while no operation is open. A guest chooses neither how many samples are
//! kept nor how many sites.

mod kind;
mod marker;
mod sample;
mod site;
#[cfg(test)]
mod tests;
mod trace;

pub use kind::Kind;
pub(crate) use marker::marker;
pub use sample::{Fate, Label, Sample, SiteCount};
pub use site::{Chain, FRAMES, MAX_SITES, SiteId, Sites};
pub use trace::{MAX_EVENTS, Trace};

use crate::domain::Regs;
use crate::mm::GuestView;
use crate::symbols::Unwinder;
use hypercalls::Vaddr;
use sample::Totals;

/// Samples kept; markers beyond are refused.
pub const MAX_SAMPLES: usize = 4096;

/// The runner, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// System time of its first word, in ns.
    pub at: u64,
}

/// A hypercall about to be dispatched while an operation is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trapped {
    kind: Kind,
    own: bool,
    site: Option<SiteId>,
    at: u64,
}

/// The operation that is open.
#[derive(Clone, Debug)]
struct Open {
    /// The stack the task enters its kernel on: no two tasks share one.
    task: Vaddr,
    since: u64,
    before: Totals,
    sample: Sample,
    /// The multicall in hand holds page-table work.
    mixed: bool,
}

/// The attribution of a domain.
#[derive(Debug, Default)]
pub struct Attribution {
    enabled: bool,
    /// Finds call sites, where the kernel could be understood.
    pub(crate) unwinder: Option<Unwinder>,
    /// Who performs operations.
    pub runner: Option<Runner>,
    /// Finished repetitions, in order.
    pub samples: Vec<Sample>,
    /// Call sites of all samples.
    pub sites: Sites,
    /// Markers that did not fit: out of order, unreadable, too many.
    pub refused: u64,
    /// Every hypercall on a time line, if asked for.
    pub trace: Option<Trace>,
    open: Option<Box<Open>>,
}

impl Attribution {
    /// One that listens to markers.
    #[must_use]
    pub fn new(unwinder: Option<Unwinder>, traced: bool) -> Attribution {
        Attribution {
            enabled: true,
            unwinder,
            trace: traced.then(Trace::default),
            ..Attribution::default()
        }
    }

    /// Whether an operation is open: everything else is asked only then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Where a kernel that stands at `regs` came from; `None` where that cannot be known.
    pub(crate) fn chain(&mut self, view: &GuestView<'_>, regs: &Regs) -> Option<Chain> {
        let unwinder = self.unwinder.as_mut()?;
        Some(unwinder.chain(view, regs))
    }

    /// Whether what task `task` does is the open operation's own.
    fn is_own(&self, task: Vaddr) -> bool {
        let open = self.open.as_deref();
        open.is_some_and(|open| open.sample.label.all_tasks || open.task == task)
    }

    /// Opens an operation. One that is open failed: whoever performed it is gone.
    fn begin(&mut self, label: Label, task: Vaddr, now: u64, before: Totals) -> bool {
        self.abandon(now, before);
        if self.samples.len() >= MAX_SAMPLES {
            return false;
        }
        if let Some(trace) = &mut self.trace {
            trace.begin(&label, now);
        }
        self.open = Some(Box::new(Open {
            task,
            since: now,
            before,
            sample: Sample::new(label),
            mixed: false,
        }));
        true
    }

    /// Closes it; a warm-up is forgotten, unless it says why nothing will follow.
    fn close(&mut self, fate: Fate, now: u64, after: Totals) -> bool {
        let Some(open) = self.open.take() else {
            return false;
        };
        let mut sample = open.sample;
        if let Some(trace) = &mut self.trace {
            trace.end(now);
        }
        sample.time_ns = now.saturating_sub(open.since);
        sample.totals(open.before, after);
        sample.fate = fate;
        if !sample.label.warm_up() || sample.fate != Fate::Measured {
            self.samples.push(sample);
        }
        true
    }

    /// Nobody will close the operation that is open, if one is.
    fn abandon(&mut self, now: u64, after: Totals) {
        self.close(Fate::Failed("it never ended".to_owned()), now, after);
    }

    /// The guest is no more.
    pub fn finish(&mut self) {
        self.abandon(0, Totals::default());
    }

    /// A hypercall trapped in task `task`; `site` finds from where, and is asked only if that is
    /// to be known.
    pub(crate) fn trapped(
        &mut self,
        kind: Kind,
        task: Vaddr,
        now: u64,
        site: impl FnOnce(&mut Attribution) -> Option<Chain>,
    ) -> Option<Trapped> {
        self.open.as_deref_mut()?.mixed = false;
        let own = self.is_own(task);
        let wanted = own && kind.may_touch_page_tables();
        let chain = if wanted { site(self) } else { None };
        Some(Trapped {
            kind,
            own,
            site: chain.and_then(|chain| self.sites.intern(chain)),
            at: now,
        })
    }

    /// An entry of the multicall in hand.
    pub(crate) fn entry(&mut self, kind: Kind) {
        if let Some(open) = &mut self.open {
            open.mixed |= kind.touches_page_tables();
            *open.sample.by_entry.entry(kind).or_default() += 1;
        }
    }

    /// That hypercall is over; it carried `updates`.
    pub(crate) fn returned(&mut self, cpu: usize, trapped: Trapped, updates: u64, now: u64) {
        let Some(open) = &mut self.open else {
            return;
        };
        if let Some(trace) = &mut self.trace {
            trace.hypercall(cpu, trapped.kind, updates, trapped.at, now);
        }
        let page_tables = open.mixed || trapped.kind.touches_page_tables();
        let sample = &mut open.sample;
        match (trapped.own, page_tables) {
            (true, true) => sample.trap(trapped.kind, trapped.site, updates),
            (true, false) => sample.other(trapped.kind),
            (false, true) => sample.elsewhere += 1,
            (false, false) => {}
        }
    }

    /// A direct write of task `task` to a live table was emulated.
    pub(crate) fn emulated_write(
        &mut self,
        task: Vaddr,
        site: impl FnOnce(&mut Attribution) -> Option<Chain>,
    ) {
        if !self.is_own(task) {
            return;
        }
        let site = site(self).and_then(|chain| self.sites.intern(chain));
        if let Some(open) = &mut self.open {
            open.sample.emulated_write(site);
        }
    }

    /// An exception was delivered to task `task`.
    pub(crate) fn fault(&mut self, task: Vaddr) {
        if self.is_own(task)
            && let Some(open) = &mut self.open
        {
            open.sample.faults += 1;
        }
    }
}
