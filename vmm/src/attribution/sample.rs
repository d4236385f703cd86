//! One repetition of one operation: its name, what became of it, what was counted.

use super::kind::Kind;
use super::site::SiteId;
use crate::stats::{Stats, size_class};
use std::collections::BTreeMap;

/// Kinds of hypercall and sites a sample can have: there are fewer kinds, and sites beyond are
/// counted as dropped.
const MAX_SITES_PER_SAMPLE: usize = 512;

/// What is performed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The operation's name.
    pub operation: String,
    /// On how many pages.
    pub pages: u64,
    /// How many forks below init.
    pub depth: u64,
    /// Which repetition; [`hypercalls::measure::WARM_UP`] for the warm-up.
    pub repetition: u64,
    /// All tasks' hypercalls are its own.
    pub all_tasks: bool,
}

impl Label {
    /// Whether it is not to be counted.
    #[must_use]
    pub fn warm_up(&self) -> bool {
        self.repetition == hypercalls::measure::WARM_UP
    }
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It was performed.
    #[default]
    Measured,
    /// The kernel lacks it, and why.
    Skipped(String),
    /// It went wrong, and why.
    Failed(String),
}

/// Traps and updates of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteCount {
    /// Traps.
    pub traps: u64,
    /// Page-table updates they carried.
    pub updates: u64,
}

/// Counters of the whole domain that are read before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    flushes: u64,
    exits: u64,
}

impl Totals {
    pub(super) fn of(stats: &Stats) -> Totals {
        Totals {
            flushes: stats.counters.flushes + stats.counters.page_flushes,
            exits: stats.exits.values().sum(),
        }
    }
}

/// One repetition's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// What was performed.
    pub label: Label,
    /// What became of it.
    pub fate: Fate,
    /// Hypercalls that work on page tables.
    pub traps: u64,
    /// Page-table updates they carried.
    pub updates: u64,
    /// Direct writes emulated.
    pub emulated_writes: u64,
    /// Other hypercalls.
    pub other_hypercalls: u64,
    /// Page-table hypercalls of other tasks.
    pub elsewhere: u64,
    /// Exceptions delivered.
    pub faults: u64,
    /// TLB flushes, of the whole domain.
    pub flushes: u64,
    /// Exits, of the whole domain, the marker's left out.
    pub exits: u64,
    /// Time between the markers in ns.
    pub time_ns: u64,
    /// Hypercalls by kind.
    pub by_kind: BTreeMap<Kind, u64>,
    /// Entries of multicalls by kind.
    pub by_entry: BTreeMap<Kind, u64>,
    /// Updates a trap carried → traps.
    pub batch_sizes: BTreeMap<u64, u64>,
    /// Traps and emulated writes by site.
    pub sites: BTreeMap<(SiteId, Kind), SiteCount>,
    /// Those whose site found no room, or is not known.
    pub sites_dropped: u64,
}

impl Sample {
    pub(super) fn new(label: Label) -> Sample {
        Sample {
            label,
            ..Sample::default()
        }
    }

    pub(super) fn trap(&mut self, kind: Kind, site: Option<SiteId>, updates: u64) {
        self.traps += 1;
        self.updates = self.updates.saturating_add(updates);
        *self.by_kind.entry(kind).or_default() += 1;
        if updates != 0 {
            *self.batch_sizes.entry(size_class(updates)).or_default() += 1;
        }
        self.at(site, kind, updates);
    }

    pub(super) fn other(&mut self, kind: Kind) {
        self.other_hypercalls += 1;
        *self.by_kind.entry(kind).or_default() += 1;
    }

    pub(super) fn emulated_write(&mut self, site: Option<SiteId>) {
        self.emulated_writes += 1;
        self.at(site, Kind::EMULATED_WRITE, 1);
    }

    pub(super) fn totals(&mut self, before: Totals, after: Totals) {
        self.flushes = after.flushes.saturating_sub(before.flushes);
        // The closing marker is an exit too.
        self.exits = after.exits.saturating_sub(before.exits).saturating_sub(1);
    }

    fn at(&mut self, site: Option<SiteId>, kind: Kind, updates: u64) {
        let Some(site) = site else {
            self.sites_dropped += 1;
            return;
        };
        let key = (site, kind);
        if self.sites.len() >= MAX_SITES_PER_SAMPLE && !self.sites.contains_key(&key) {
            self.sites_dropped += 1;
            return;
        }
        let count = self.sites.entry(key).or_default();
        count.traps += 1;
        count.updates = count.updates.saturating_add(updates);
    }
}
