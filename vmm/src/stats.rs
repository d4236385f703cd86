//! THE table of counters. A row here is counted, reported and documented.
//!
//! Comes in: one call an event, from the thread that holds the domain. Goes out: plain numbers.
//! Nothing here allocates on the path of a known hypercall.

use hypercalls::{Nr, has_operations, operation_name};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

macro_rules! counters {
    ($($name:ident: $doc:literal;)*) => {
        /// The plain counters, a field a row.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $(#[doc = $doc] pub $name: u64,)* }
        impl Counters {
            /// Each counter's name, value and meaning, in the table's order.
            #[must_use]
            pub fn rows(&self) -> Vec<(&'static str, u64, &'static str)> {
                vec![$((stringify!($name), self.$name, $doc),)*]
            }
        }
    };
}

counters! {
    hypercalls: "Hypercalls that trapped into the hypervisor";
    unknown_hypercalls: "Of them, those whose number nothing answers to";
    pte_updates: "Page-table updates requested by hypercalls";
    multicall_entries: "Hypercalls carried inside multicalls";
    continuations: "Times a hypercall was cut short and executed again, which counts once";
    early_flushes: "Flushes in the midst of a trap, before a frame was used as something else";
    emulated_writes: "Direct writes to live page tables that were caught and applied";
    emulated_instructions: "Privileged instructions emulated";
    faults_bounced: "Exceptions delivered to the guest kernel";
    fixed_faults: "Faults resolved without the guest noticing";
    user_syscalls: "System calls of user mode delivered to the guest kernel";
    upcalls: "Event upcalls delivered";
    events: "Event channel notifications set pending";
    timer_events: "Timer expiries";
    flushes: "TLB flushes the guest asked for or the page-table rules needed";
    page_flushes: "Single-page TLB flushes, likewise";
}

/// Hypercalls remembered a vCPU.
pub const RECENT: usize = 16;

/// Batch sizes up to the largest that can be asked for are told apart; larger ones count as the
/// power of two below. A guest claims any size it likes: it must not choose how many are kept.
#[must_use]
pub(crate) fn size_class(updates: u64) -> u64 {
    match updates {
        0..=512 => updates,
        larger => 1 << larger.ilog2(),
    }
}

/// One hypercall as the dump shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// rax at the trap.
    pub nr: u64,
    /// Its arguments.
    pub args: [u64; 6],
    /// What it returned; `None` if it did not return in the ordinary way.
    pub result: Option<i64>,
}

/// Operations of hypercalls whose number holds several, those in multicalls included: what was done,
/// however many traps it took. A number without meaning counts as `other`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations(BTreeMap<(Nr, &'static str), u64>);

impl Operations {
    /// Operation `operation` of `nr` was done, or refused.
    pub fn count(&mut self, nr: Nr, operation: u32) {
        let name = operation_name(nr, operation).unwrap_or("other");
        *self.0.entry((nr, name)).or_default() += 1;
    }

    /// Likewise, if the first of `args` says which of several.
    pub fn dispatched(&mut self, nr: Nr, args: &[u64; 6]) {
        if has_operations(nr) {
            self.count(nr, args[0] as u32);
        }
    }

    /// Each as `call/operation`, and how often.
    pub fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        let name = |&(nr, operation): &(Nr, &str)| format!("{}/{operation}", nr.name());
        self.0.iter().map(move |(key, &n)| (name(key), n))
    }
}

/// All counters of a domain.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The plain ones.
    pub counters: Counters,
    calls: [u64; 64],
    /// Operations of hypercalls that hold several.
    pub operations: Operations,
    /// Refusals and errors, by name.
    pub errors: BTreeMap<&'static str, u64>,
    /// Exits of the host's run loop, by reason.
    pub exits: BTreeMap<&'static str, u64>,
    /// Time of all vCPUs together, by what it was spent on.
    pub times: BTreeMap<&'static str, Duration>,
    /// Exceptions delivered, by vector.
    pub vectors: BTreeMap<u8, u64>,
    /// Page-table updates a trap carried → traps.
    pub batch_sizes: BTreeMap<u64, u64>,
    recent: Vec<VecDeque<Recent>>,
}

impl Stats {
    /// Zeroes, for `cpus` vCPUs.
    #[must_use]
    pub fn new(cpus: usize) -> Stats {
        Stats {
            counters: Counters::default(),
            calls: [0; 64],
            operations: Operations::default(),
            errors: BTreeMap::new(),
            exits: BTreeMap::new(),
            times: BTreeMap::new(),
            vectors: BTreeMap::new(),
            batch_sizes: BTreeMap::new(),
            recent: vec![VecDeque::with_capacity(RECENT); cpus],
        }
    }

    /// A hypercall trapped.
    pub fn call(&mut self, cpu: usize, nr: u64, args: [u64; 6]) {
        self.counters.hypercalls += 1;
        match Nr::from_raw(nr) {
            Some(nr) => self.calls[nr as usize & 63] += 1,
            None => self.counters.unknown_hypercalls += 1,
        }
        let Some(ring) = self.recent.get_mut(cpu) else {
            return;
        };
        if ring.len() == RECENT {
            ring.pop_front();
        }
        ring.push_back(Recent {
            nr,
            args,
            result: None,
        });
    }

    /// That hypercall returned.
    pub fn returned(&mut self, cpu: usize, result: i64) {
        if let Some(last) = self.recent.get_mut(cpu).and_then(VecDeque::back_mut) {
            last.result = Some(result);
        }
    }

    /// A trap that carried `updates` page-table updates is over.
    pub fn batch(&mut self, updates: u64) {
        if updates != 0 {
            let all = &mut self.counters.pte_updates;
            *all = all.saturating_add(updates);
            *self.batch_sizes.entry(size_class(updates)).or_default() += 1;
        }
    }

    /// An error of that name was returned.
    pub fn error(&mut self, name: &'static str) {
        *self.errors.entry(name).or_default() += 1;
    }

    /// The host's run loop returned for that reason.
    pub fn exit(&mut self, reason: &'static str) {
        *self.exits.entry(reason).or_default() += 1;
    }

    /// A vCPU spent so long on that.
    pub fn spend(&mut self, what: &'static str, time: Duration) {
        *self.times.entry(what).or_default() += time;
    }

    /// Traps of one hypercall.
    #[must_use]
    pub fn calls_of(&self, nr: Nr) -> u64 {
        self.calls[nr as usize & 63]
    }

    /// Traps by hypercall, those that occurred.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        let all = Nr::ALL.iter().map(|&nr| (nr.name(), self.calls_of(nr)));
        all.filter(|&(_, n)| n != 0).collect()
    }

    /// The last hypercalls of a vCPU, oldest first.
    pub fn recent(&self, cpu: usize) -> impl Iterator<Item = &Recent> {
        self.recent.get(cpu).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_choose_how_many_sizes_are_kept() {
        let mut stats = Stats::new(1);
        for updates in (0..100_000).chain([u64::MAX, u64::MAX]) {
            stats.batch(updates);
        }
        assert_eq!(stats.counters.pte_updates, u64::MAX);
        assert_eq!(stats.batch_sizes[&511], 1);
        assert_eq!(stats.batch_sizes[&1024], 1024);
        assert!(stats.batch_sizes.len() < 600);
    }

    #[test]
    fn the_ring_keeps_the_last_sixteen() {
        let mut stats = Stats::new(1);
        for i in 0..20 {
            stats.call(0, 1, [i; 6]);
            stats.returned(0, i as i64);
        }
        stats.call(7, 99, [0; 6]);
        let first = stats.recent(0).next().expect("sixteen entries");
        assert_eq!((first.args[0], first.result), (4, Some(4)));
        assert_eq!(stats.recent(0).count(), RECENT);
        assert_eq!(stats.calls_of(Nr::MmuUpdate), 20);
        assert_eq!(stats.counters.unknown_hypercalls, 1);
    }
}
