//! One operation's row: what it cost, from where, and what it need not have cost.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Updates Linux's multicall buffer carries.
pub const LINUX_BATCH: u64 = 31;
/// Entries of a page table.
pub const TABLE: u64 = 512;

/// The least, the middle and the most of all repetitions; equal where the kernel is deterministic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The least.
    pub min: u64,
    /// The middle one; of an even number the lower.
    pub median: u64,
    /// The most.
    pub max: u64,
}

impl Spread {
    /// Of these values; zeroes if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Spread {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let at = |index: usize| values.get(index).copied().unwrap_or(0);
        let last = values.len().saturating_sub(1);
        Spread {
            min: at(0),
            median: at(last / 2),
            max: at(last),
        }
    }

    /// Whether all were equal.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.min == self.max
    }
}

/// Whose hypercalls a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of the task that performed the operation; the others' are in `elsewhere`.
    Task,
    /// Those of all tasks: the operation makes new ones.
    All,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was measured.
    Measured,
    /// This kernel lacks it; why is in `detail`.
    Skipped,
    /// It failed; why is in `detail`.
    Failed,
}

/// The traps that would do for a row's updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minimum {
    /// With Linux's buffer: ⌈updates / 31⌉.
    pub linux: u64,
    /// With a page table's worth a trap: ⌈updates / 512⌉.
    pub table: u64,
}

impl Minimum {
    /// For that many updates.
    #[must_use]
    pub const fn of(updates: u64) -> Minimum {
        Minimum {
            linux: updates.div_ceil(LINUX_BATCH),
            table: updates.div_ceil(TABLE),
        }
    }
}

/// A place in the kernel that traps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The hypercall, with its operation if it has any (`mmuext_op/pin_l1_table`), or
    /// `emulated write`.
    pub kind: String,
    /// The first function of `chain` that is not the Xen back end's.
    pub function: String,
    /// Return addresses' functions, the innermost first.
    pub chain: Vec<String>,
    /// Traps, or emulated writes, from here.
    pub traps: u64,
    /// Page-table updates they carried.
    pub updates: u64,
}

/// Functions shown of a chain.
const SHOWN: usize = 6;

impl Site {
    /// The chain in a line, the innermost first, as far as people read.
    #[must_use]
    pub fn way(&self) -> String {
        let shown = &self.chain[..self.chain.len().min(SHOWN)];
        shown.join(" < ")
    }
}

/// One operation on one number of pages at one fork depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRow {
    /// The operation's name.
    pub operation: String,
    /// Pages it works on; 0 if it has no size.
    pub pages: u64,
    /// Forks between init and the task that performs it.
    pub depth: u64,
    /// Whose hypercalls are counted.
    pub scope: Scope,
    /// What became of it.
    pub status: Status,
    /// Why it was skipped, or failed.
    pub detail: String,
    /// Repetitions measured, after a warm-up that is not in here.
    pub repetitions: u64,
    /// All repetitions had the same traps, updates and emulated writes.
    pub deterministic: bool,
    /// Hypercalls that work on page tables: `mmu_update`, `mmuext_op`, `update_va_mapping`, and
    /// each `multicall` that holds one of these.
    pub traps: Spread,
    /// Page-table updates they carried.
    pub updates: Spread,
    /// Direct writes to live page tables, trapped and emulated.
    pub emulated_writes: Spread,
    /// All other hypercalls: interrupt returns, scheduling, timers.
    pub other_hypercalls: Spread,
    /// Page-table hypercalls of other tasks meanwhile, not in `traps`.
    pub elsewhere: Spread,
    /// Exceptions delivered to the guest kernel.
    pub faults: Spread,
    /// TLB flushes, of everything or of a page; all tasks'.
    pub flushes: Spread,
    /// Exits of the host's run loop; all tasks', the marker's own left out.
    pub exits: Spread,
    /// Time from marker to marker in µs; of meaning on this host only.
    pub time_us: Spread,
    /// `traps` and `other_hypercalls` by hypercall and operation (`mmuext_op/pin_l1_table`), of
    /// the repetition with the median `traps`, as is everything below.
    pub by_hypercall: BTreeMap<String, u64>,
    /// Hypercalls inside multicalls.
    pub by_multicall_entry: BTreeMap<String, u64>,
    /// `traps` by the number of updates carried, those that carried any.
    pub batch_sizes: BTreeMap<u64, u64>,
    /// What would have done.
    pub minimum: Minimum,
    /// Traps with updates beyond `minimum.linux`: what batching could still win.
    pub winnable: u64,
    /// Where `traps` and `emulated_writes` come from, most first.
    pub sites: Vec<Site>,
    /// Traps whose site found no room in the table.
    pub sites_dropped: u64,
}

impl OperationRow {
    /// The name people call it by: `mprotect 512`, `mprotect 512 @255`.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.operation.clone();
        if self.pages != 0 {
            label.push_str(&format!(" {}", self.pages));
        }
        if self.depth != 0 {
            label.push_str(&format!(" @{}", self.depth));
        }
        label
    }

    /// The most updates one trap carried.
    #[must_use]
    pub fn largest_batch(&self) -> u64 {
        self.batch_sizes.keys().copied().max().unwrap_or(0)
    }

    /// The site with the most traps.
    #[must_use]
    pub fn main_site(&self) -> Option<&Site> {
        self.sites.iter().find(|s| s.kind != EMULATED_WRITE)
    }
}

/// [`Site::kind`] of a direct write to a live table.
pub const EMULATED_WRITE: &str = "emulated write";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_sorted_values_and_a_minimum_rounds_up() {
        let spread = Spread::of([5, 1, 3, 2]);
        assert_eq!((spread.min, spread.median, spread.max), (1, 2, 5));
        assert!(Spread::of([]).is_exact());
        assert_eq!(
            Minimum::of(512),
            Minimum {
                linux: 17,
                table: 1
            }
        );
        assert_eq!(Minimum::of(0), Minimum::default());
    }
}
