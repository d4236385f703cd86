//! Which operation of a real kernel traps, and from where: `xenlet measure`, schema
//! `xenlet.measure/1`.
//!
//! Comes in: what the hypervisor counted between the runner's markers, a repetition at a time.
//! Goes out: one [`MeasureReport`], a row an operation, and its table and CSV. Other people's
//! scripts read the JSON: it is extended, never renamed. What may differ from run to run of the
//! same kernel is in the spreads, and in `host` and the times.

mod assemble;
mod row;
mod text;

pub use assemble::operations;
pub use row::{
    EMULATED_WRITE, LINUX_BATCH, Minimum, OperationRow, Scope, Site, Spread, Status, TABLE,
};

use super::boot::{Ended, Guest};
use super::{Host, Version};
use crate::exit::Exit;
use serde::{Deserialize, Serialize};

/// The measurement's schema.
pub const MEASURE_SCHEMA: &str = "xenlet.measure/1";

/// Where the names of call sites come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolSource {
    /// The kernel's own tables, in its image.
    Kallsyms,
    /// A System.map or vmlinux that was given.
    File,
    /// There are none: sites are bare addresses, or missing.
    None,
}

/// The kernel that was measured, by its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`; empty if the kernel has no banner.
    pub release: String,
    /// Its `linux_banner`.
    pub banner: String,
    /// The image it was named by, if it was not given as a file.
    pub image: Option<String>,
    /// Where names come from.
    pub symbols: SymbolSource,
    /// How call sites were found: `orc` (exact), or `none`.
    pub unwinder: String,
}

/// Who performed the operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Its name, as it said it.
    pub name: String,
    /// Its version: rows of different versions are not comparable.
    pub version: u32,
}

/// A kernel measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasureReport {
    /// [`MEASURE_SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub xenlet: Version,
    /// Where it was made.
    pub host: Host,
    /// What was booted.
    pub guest: Guest,
    /// The kernel.
    pub kernel: Kernel,
    /// The runner; null if it never came to run.
    pub runner: Option<Runner>,
    /// How often each operation was asked to be repeated.
    pub repeat: u32,
    /// How the guest ended.
    pub ended: Ended,
    /// What it died of, or what is not in the rows, and why.
    pub detail: String,
    /// From the first instruction to the end.
    pub wall_s: f64,
    /// From the first instruction to the runner's first word.
    pub boot_s: f64,
    /// A row an operation, size and depth, in the order they were performed.
    pub results: Vec<OperationRow>,
}

impl MeasureReport {
    /// How the process should end: a guest that crashed, rebooted or never ran the runner has
    /// measured nothing that can be relied on, and one that was interrupted not all.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.ended {
            Ended::Poweroff if self.runner.is_some() => Exit::Done,
            Ended::Poweroff | Ended::Reboot | Ended::Crashed => Exit::GuestCrashed,
            Ended::TimeLimit => Exit::TimeLimit,
            Ended::Quit => Exit::CheckFailed,
        }
    }

    /// The row of an operation on that many pages at that fork depth.
    #[must_use]
    pub fn row(&self, operation: &str, pages: u64, depth: u64) -> Option<&OperationRow> {
        let mut rows = self.results.iter();
        rows.find(|r| r.operation == operation && r.pages == pages && r.depth == depth)
    }
}
