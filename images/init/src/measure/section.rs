//! One repetition of an operation: what lies between its markers is counted, nothing else.

use super::marker::Marker;
use super::undisturbed;
use hypercalls::measure::{ALL_TASKS, BEGIN, END, FAIL, SKIP};
use std::fmt;
use std::io;

/// Why an operation was not performed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The kernel lacks it.
    Lacking(String),
    /// It went wrong.
    Failed(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Lacking(why) | Trouble::Failed(why) => f.write_str(why),
        }
    }
}

impl Trouble {
    /// The kernel lacks what the last call asked for.
    pub(super) fn lacking(what: &str) -> Trouble {
        Trouble::Lacking(format!("{what}: {}", io::Error::last_os_error()))
    }

    /// The last call failed.
    pub(super) fn failed(what: &str) -> Trouble {
        Trouble::Failed(format!("{what}: {}", io::Error::last_os_error()))
    }
}

/// What is being performed.
pub(super) struct Section<'a> {
    name: &'a str,
    pages: usize,
    depth: u64,
    pub(super) repetition: u64,
    pub(super) all_tasks: bool,
    /// Its begin was told, its end not yet.
    open: bool,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'a str, pages: usize, depth: u64) -> Section<'a> {
        Section {
            name,
            pages,
            depth,
            repetition: 0,
            all_tasks: false,
            open: false,
        }
    }

    /// Performs `operation` between the markers. An error is told when these are closed.
    pub(super) fn measure<T>(
        &mut self,
        operation: impl FnOnce() -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.begin();
        let done = operation();
        if done.is_ok() {
            said(END, "").say();
            self.open = false;
        }
        done
    }

    /// Tells why there will be no more repetitions; an operation that is open ends by this.
    pub(super) fn give_up(&mut self, trouble: &Trouble) {
        println!("measure: {}: {trouble}", self.name);
        if !self.open {
            self.begin();
        }
        let what = match trouble {
            Trouble::Lacking(_) => SKIP,
            Trouble::Failed(_) => FAIL,
        };
        said(what, &trouble.to_string()).say();
        self.open = false;
    }

    fn begin(&mut self) {
        undisturbed::let_others_run();
        self.open = true;
        let marker = Marker {
            what: BEGIN,
            text: self.name,
            pages: self.pages as u64,
            depth: self.depth,
            repetition: self.repetition,
            flags: if self.all_tasks { ALL_TASKS } else { 0 },
        };
        marker.say();
    }
}

fn said(what: u32, text: &str) -> Marker<'_> {
    Marker {
        what,
        text,
        ..Marker::default()
    }
}
