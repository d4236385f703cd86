//! What became of a cell: the BUG the modelled kernel died of, the stale data it served, or what
//! stopped the test. The first of each kind stays. Comes in: notes from anywhere, interrupts and
//! context switches included; goes out: an outcome, a name and a detail.

use crate::mmu::Bug;
use crate::work::{Done, Stop};
use core::cell::{Cell, RefCell};
use core::fmt;
use hypercalls::lab::{Outcome, Text};

/// What became of the cell so far.
pub(crate) struct Verdict {
    /// A BUG that ends the cell.
    bug: Cell<Option<Bug>>,
    /// Stale data seen where the modelled kernel serves it; the cell goes on.
    pub hazard: Cell<Option<&'static str>>,
    /// What stopped it.
    stop: Cell<Option<Stop>>,
    /// What went wrong first.
    detail: RefCell<Text<392>>,
    /// Nothing more is noted: the cell's task only exits now.
    closed: Cell<bool>,
}

impl Verdict {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Verdict {
            bug: Cell::new(None),
            hazard: Cell::new(None),
            stop: Cell::new(None),
            detail: RefCell::new(Text([0; 392])),
            closed: Cell::new(false),
        }
    }

    /// Forgets the last cell.
    pub(crate) fn reset(&self) {
        self.bug.set(None);
        self.hazard.set(None);
        self.stop.set(None);
        self.closed.set(false);
        *self.detail.borrow_mut() = Text::default();
    }

    /// Notes the first BUG.
    pub(crate) fn note(&self, done: Result<(), Bug>) {
        if let (Err(bug), None, false) = (done, self.bug.get(), self.closed.get()) {
            self.bug.set(Some(bug));
        }
    }

    /// The BUG noted so far.
    pub(crate) fn bug_on(&self) -> Option<Bug> {
        self.bug.get()
    }

    /// Notes the first hazard.
    pub(crate) fn hazard(&self, name: &'static str) {
        if self.hazard.get().is_none() {
            self.hazard.set(Some(name));
        }
    }

    /// Notes what went wrong first.
    pub(crate) fn detail(&self, what: fmt::Arguments<'_>) {
        let mut detail = self.detail.borrow_mut();
        if detail.as_str().is_empty() && !self.closed.get() {
            // What does not fit is cut.
            let _ = fmt::Write::write_fmt(&mut *detail, what);
        }
    }

    /// Notes why another task of the workload ended early.
    pub(crate) fn stopped(&self, done: Done) {
        match done {
            Err(Stop::Bug(bug)) => self.note(Err(bug)),
            Err(stop) if self.stop.get().is_none() => self.stop.set(Some(stop)),
            _ => {}
        }
    }

    /// Whether something stopped the workload.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.get().is_some()
    }

    /// Whether the test itself went wrong.
    pub(crate) fn stopped_by_error(&self) -> bool {
        matches!(self.stop.get(), Some(Stop::Error(_)))
    }

    /// The cell's last word.
    pub(crate) fn close(&self, done: Done) {
        self.stopped(done);
        self.closed.set(true);
    }

    /// Outcome, BUG's name, detail.
    pub(crate) fn sum(&self) -> (Outcome, &'static str, Text<392>) {
        let detail = *self.detail.borrow();
        let bug = self.bug.get().map(|b| b.name).or(self.hazard.get());
        match (self.stop.get(), bug) {
            (Some(Stop::Error(why)), _) => (Outcome::Error, "", Text::new(why)),
            (Some(Stop::Skip(why)), _) => (Outcome::Skip, "", Text::new(why)),
            (_, Some(name)) => (Outcome::Bug, name, detail),
            (_, None) => (Outcome::Ran, "", detail),
        }
    }
}
