//! Schema `xenlet.lab/1`, field by field. Other people's scripts read it: it is extended, never
//! renamed. Everything that may differ from host to host or run to run is in [`Host`]; the rest
//! is the same wherever the same thing was measured.

use super::origin::{Host, Version};
use super::row::{Checks, FinalState, FlushReasons, Verdict};
use crate::config::{Backend, Batch};
use crate::exit::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lab report's schema.
pub const LAB_SCHEMA: &str = "xenlet.lab/1";

/// A lab run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabReport {
    /// [`LAB_SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub xenlet: Version,
    /// Where it was made.
    pub host: Host,
    /// A row a cell.
    pub results: Vec<ResultRow>,
}

/// One workload under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The workload.
    pub workload: String,
    /// The policy.
    pub policy: String,
    /// What one flush carries.
    pub batch: Batch,
    /// What executed the guest.
    pub backend: Backend,
    /// vCPUs.
    pub cpus: u32,
    /// PTEs worked on.
    pub ptes: u32,
    /// Hypercalls that entered the hypervisor between the section's start and end; emulated
    /// writes are not among them.
    pub traps: u64,
    /// Page-table updates those hypercalls carried.
    pub updates: u64,
    /// Direct writes to live page tables, trapped and emulated.
    pub emulated_writes: u64,
    /// `traps` by hypercall.
    pub by_hypercall: BTreeMap<String, u64>,
    /// `traps` by the number of updates carried.
    pub batch_sizes: BTreeMap<u64, u64>,
    /// `traps` by cause.
    pub flush_reasons: FlushReasons,
    /// `traps` as the documented model has it; null where the modelled kernel stops in a BUG or
    /// has no such call site.
    pub expected_traps: Option<u64>,
    /// Whether the page tables were right at every checkpoint and at the end, or, where the
    /// modelled kernel stops in a BUG, there and once what waited was flushed. Nothing is compared
    /// (`checks`) in a row that is skipped.
    pub final_state: FinalState,
    /// The row's verdict.
    pub verdict: Verdict,
    /// A BUG's name, or what is wrong, or why it was skipped.
    pub detail: String,
    /// What the oracle looked at.
    #[serde(default)]
    pub checks: Checks,
}

impl ResultRow {
    /// Whether the counts are those of the whole workload: it ran, or served stale data and went
    /// on, rather than stopping in a BUG.
    #[must_use]
    pub fn counted(&self) -> bool {
        match self.verdict {
            Verdict::Pass | Verdict::Fail => true,
            Verdict::Bug => self.expected_traps.is_some(),
            Verdict::Skip | Verdict::Error | Verdict::Crash => false,
        }
    }
}

impl LabReport {
    /// How many rows have each verdict, in the order of [`Verdict`].
    #[must_use]
    pub fn tally(&self) -> BTreeMap<Verdict, usize> {
        let mut tally = BTreeMap::new();
        for row in &self.results {
            *tally.entry(row.verdict).or_default() += 1;
        }
        tally
    }

    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let worst = self.results.iter().map(|r| r.verdict).max();
        match worst {
            Some(Verdict::Crash) => Exit::GuestCrashed,
            Some(v) if v.is_bad() => Exit::CheckFailed,
            _ => Exit::Done,
        }
    }
}
