//! The parts of a result row: causes, verdicts, what the oracle looked at.

use serde::{Deserialize, Serialize};

/// Why a section's hypercalls were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushReasons {
    /// The outermost disable.
    pub disable: u64,
    /// An inner disable.
    pub nested_disable: u64,
    /// `arch_flush_lazy_mmu_mode`.
    pub arch_flush: u64,
    /// `lazy_mmu_mode_pause`.
    pub pause: u64,
    /// A context switch.
    pub context_switch: u64,
    /// The queue was full.
    pub full: u64,
    /// Not queued at all.
    pub immediate: u64,
}

impl FlushReasons {
    /// From counts a [`hypercalls::lab::Cause`]; the kernel's own are left out.
    #[must_use]
    pub fn from_causes(calls: [u64; 8]) -> FlushReasons {
        let [
            _,
            disable,
            nested_disable,
            arch_flush,
            pause,
            context_switch,
            full,
            immediate,
        ] = calls;
        FlushReasons {
            disable,
            nested_disable,
            arch_flush,
            pause,
            context_switch,
            full,
            immediate,
        }
    }

    /// The report's words with their counts, in order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("disable", self.disable),
            ("nested_disable", self.nested_disable),
            ("arch_flush", self.arch_flush),
            ("pause", self.pause),
            ("context_switch", self.context_switch),
            ("full", self.full),
            ("immediate", self.immediate),
        ]
    }
}

/// Whether the page tables are what they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalState {
    /// They are, as far as they were compared.
    #[default]
    Ok,
    /// They are not.
    Wrong,
}

/// What a row amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As the model expects, and right.
    Pass,
    /// The modelled kernel itself would BUG or serve stale data here, as expected.
    Bug,
    /// The modelled kernel has no such call site.
    Skip,
    /// Not what the model expects, or wrong page tables.
    Fail,
    /// The test itself went wrong.
    Error,
    /// The guest crashed.
    Crash,
}

impl Verdict {
    /// The report's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Bug => "bug",
            Verdict::Skip => "skip",
            Verdict::Fail => "fail",
            Verdict::Error => "error",
            Verdict::Crash => "crash",
        }
    }

    /// Whether a run with it is no success.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::Error | Verdict::Crash)
    }
}

/// What the oracle looked at, over all checkpoints of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Entries the guest compared with its model.
    pub compared: u64,
    /// Of them, those that differed.
    pub differing: u64,
    /// Pages the guest used through the tables.
    pub touched: u64,
    /// Of them, those that did something else than its model says.
    pub mistouched: u64,
    /// Entries the hypervisor walked and compared.
    pub walked: u64,
    /// Of them, those that differed.
    pub mismatched: u64,
}

impl Checks {
    /// Whether anything was looked at.
    #[must_use]
    pub fn any(&self) -> bool {
        self.compared + self.touched + self.walked > 0
    }

    /// The verdict on the page tables.
    #[must_use]
    pub fn state(&self) -> FinalState {
        match self.differing + self.mistouched + self.mismatched {
            0 => FinalState::Ok,
            _ => FinalState::Wrong,
        }
    }
}
