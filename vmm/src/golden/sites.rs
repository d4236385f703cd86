//! The call sites: what each workload does, release by release, as a list of steps.
//!
//! A section covers one table, so more entries mean more sections; what stands in the middle of a
//! section is there once a table.

use super::api::Api;
use super::op::Op::{self, *};
use super::op::{Hazard, section, times};

/// The kernel release a policy stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    V6_1,
    V6_12,
    V7,
}

/// A workload in one release.
#[derive(Clone, Debug)]
pub(super) enum Site {
    /// There is no such call.
    Absent(&'static str),
    /// Its steps, and how many forks lie between the cell's own task and the one that runs them.
    Steps { ops: Vec<Op>, forks: u8 },
}

/// Where a cell runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Where {
    pub(super) release: Release,
    pub(super) api: Api,
    pub(super) ptes: u32,
    pub(super) cpus: u32,
}

/// Every workload.
pub(super) const NAMES: &[&str] = &[
    "mprotect",
    "mprotect_dirty",
    "fork",
    "munmap",
    "zap_swap",
    "zap_pagealloc",
    "mremap",
    "remap_pfn",
    "apply_to_range",
    "vmap",
    "vunmap",
    "madvise_cold",
    "madvise_pageout",
    "madvise_free",
    "madvise_free_swap",
    "madvise_resched",
    "pagemap_scan",
    "migrate",
    "migrate_shared",
    "uffd_move",
    "lru_gen_walk",
    "lru_gen_walk_pmd",
    "lru_gen_look_around",
    "kasan_populate",
    "kasan_depopulate",
    "nest",
    "switch",
    "switch_nested",
    "preempt_window",
    "irq",
    "irq_flush",
    "kernel_map_pages",
    "kmap_atomic",
    "vmalloc_fault",
    "fork_then_section",
    "fork_depth_255",
    "resume_at_zero",
    "depth_255",
    "enable_in_pause",
    "bh_mismatch",
    "failing_request",
    "rmw_reorder",
    "read_after_write",
    "vmap_error",
    "migrate_cpu",
    "two_writers",
];

/// PTEs of one table: what one section can cover.
const TABLE: u32 = 512;
/// Entries of an inner section.
const INNER: u32 = 8;
/// Where a section is preempted.
const PREEMPTED: u32 = 100;
/// Pages around one that are aged with it.
const AROUND: u32 = 64;
/// How often madvise meets a large folio.
const SPLIT_EVERY: u32 = 128;
/// After how many entries pageout gives way.
const GIVES_WAY_EVERY: u32 = 32;
/// Pages a gather holds before it needs one of its own.
const GATHERED: u32 = 8;
/// Which entry is refused.
const REFUSED: u32 = 15;

// The hazards by the names a report has for them; the guest has its own table of the same names.
const UNMAPPED: Hazard = "KASAN shadow not mapped when it is used";
const MAPPED: Hazard = "KASAN shadow still mapped after its page was freed";
const ASLEEP: Hazard = "split_folio, which sleeps, in a lazy section";
const RESCHEDULED: Hazard = "cond_resched in a lazy section";
const RECLAIMED: Hazard = "reclaim_pages, which sleeps, in a lazy section";
const LEAK: Hazard = "disable ignored with BH off: the task stays lazy";
const LOST: Hazard = "mmu_update failed: what followed in the batch is lost";
const REORDERED: Hazard = "B then T on one PTE: the queued write lands last";
const STALE: Hazard = "pte_none(ptep_get) false after a queued pte_clear";

/// What `workload` does there; `None` if the model does not know it.
pub(super) fn site(workload: &str, at: Where) -> Option<Site> {
    let n = at.ptes;
    if let Some(why) = absent(workload, at) {
        return Some(Site::Absent(why));
    }
    let ops = plain(workload, at).or_else(|| structured(workload))?;
    let forks = match workload {
        "fork_then_section" | "migrate_cpu" => 1,
        "fork_depth_255" => 255,
        _ => 0,
    };
    let ops = match workload {
        // The first table alone.
        "migrate_cpu" | "two_writers" => ops(n.min(TABLE)),
        // One resume too many, before the first section.
        "resume_at_zero" => [vec![Resume], tables(n, ops)].concat(),
        _ => tables(n, ops),
    };
    Some(Site::Steps { ops, forks })
}

fn absent(workload: &str, at: Where) -> Option<&'static str> {
    let counts_pauses = matches!(at.api, Api::Eager | Api::Nested(_));
    let pauses = counts_pauses || at.api == Api::LocalState;
    match workload {
        "pagemap_scan" if at.release == Release::V6_1 => Some("PAGEMAP_SCAN is younger than 6.1"),
        "uffd_move" if at.release < Release::V7 => Some("move_present_ptes is younger than 6.12"),
        "resume_at_zero" if !counts_pauses => Some("this generation counts no pauses"),
        "enable_in_pause" if !pauses => Some("this generation has no pause"),
        "migrate_cpu" | "two_writers" if at.cpus < 2 => Some("needs two vCPUs"),
        _ => None,
    }
}

/// Steps for each table the PTEs lie in.
fn tables(ptes: u32, steps: Steps) -> Vec<Op> {
    let full = times(ptes / TABLE, &steps(TABLE));
    match ptes % TABLE {
        0 => full,
        rest => [full, steps(rest)].concat(),
    }
}

/// What is done to so many entries of one table.
type Steps = fn(u32) -> Vec<Op>;

/// Call sites that do the same to each entry.
fn plain(workload: &str, at: Where) -> Option<Steps> {
    let old = at.release < Release::V7;
    Some(match workload {
        "vmap" if old => |n| times(n, &[Set]),
        "mprotect" | "mprotect_dirty" | "zap_swap" | "madvise_free_swap" | "remap_pfn"
        | "apply_to_range" | "vmap" | "fork_then_section" | "fork_depth_255" => {
            |n| section(times(n, &[Set]))
        }
        "madvise_cold" if at.release > Release::V6_1 => |n| section(times(n, &[Rmw])),
        "madvise_pageout" if at.release > Release::V6_1 => |n| {
            let out = [Disable, Sleep(RESCHEDULED), Enable];
            let aged = section(broken(n, GIVES_WAY_EVERY, &[Rmw], &out));
            [aged, vec![Sleep(RECLAIMED)]].concat()
        },
        "madvise_pageout" => |n| {
            let aged = section(times(n, &[Rmw, Set]));
            [aged, vec![Sleep(RECLAIMED)]].concat()
        },
        "fork" | "mremap" | "madvise_cold" | "madvise_free" | "uffd_move" => {
            |n| section(times(n, &[Rmw, Set]))
        }
        "munmap" | "vunmap" | "lru_gen_walk" => |n| section(times(n, &[Rmw])),
        "lru_gen_look_around" => |n| section(times(n.min(AROUND), &[Rmw])),
        "pagemap_scan" => |n| section([times(n, &[Set]), vec![Flush]].concat()),
        "migrate" => |n| section([times(n, &[Rmw, Flush, Set]), vec![Flush]].concat()),
        "migrate_shared" => |n| section([times(n, &[Rmw, Set]), vec![Flush]].concat()),
        // No huge entries, and none that names a table may be written in place.
        "lru_gen_walk_pmd" => |_| section([]),
        "kasan_populate" => |n| section(times(n, &[Pause, Set, Resume, RelyOn(UNMAPPED)])),
        "kasan_depopulate" => |n| section(times(n, &[Pause, Set, Resume, RelyOn(MAPPED)])),
        "vmap_error" if old => |n| times(n / 2, &[Set]),
        "vmap_error" => |n| section(times(n / 2, &[Set])),
        "madvise_resched" if at.release == Release::V6_1 => {
            |n| section(broken(n, SPLIT_EVERY, &[Rmw, Set], &[Sleep(ASLEEP)]))
        }
        "madvise_resched" => |n| {
            let out = [Disable, Sleep(ASLEEP), Enable];
            section(broken(n, SPLIT_EVERY, &[Rmw, Set], &out))
        },
        _ => return None,
    })
}

/// Call sites with something in the middle of a section.
fn structured(workload: &str) -> Option<Steps> {
    Some(match workload {
        "nest" => |n| section(around(n, |inner| section(times(inner, &[Set])))),
        "zap_pagealloc" => |n| {
            let first = n.min(GATHERED);
            let inner = if n > first { section([Set]) } else { vec![] };
            section([times(first, &[Rmw]), inner, times(n - first, &[Rmw])].concat())
        },
        "enable_in_pause" => |n| {
            let paused =
                |inner| [vec![Pause], section(times(inner, &[Set])), vec![Resume]].concat();
            section(around(n, paused))
        },
        "switch" | "migrate_cpu" => |n| section(cut(n, preempted(n), &[Switch])),
        "switch_nested" => |n| section(section(cut(n, preempted(n), &[Switch]))),
        "preempt_window" => |n| section(cut(n, 0, &[Switch])),
        "irq" => |n| section(cut(n, n / 2, &[IrqEnter, Set, IrqExit])),
        "irq_flush" => |n| section(cut(n, n / 2, &[IrqEnter, ArchFlush, IrqExit])),
        "kernel_map_pages" | "vmalloc_fault" => |n| section(cut(n, n / 2, &[Set, ArchFlush])),
        "kmap_atomic" => |n| section(cut(n, n / 2, &[Set, ArchFlush, Set, ArchFlush])),
        "two_writers" => |n| {
            [
                section(times(n / 2, &[Set])),
                section(times(n - n / 2, &[Set])),
            ]
            .concat()
        },
        "rmw_reorder" => |n| section(cut(n, n / 2 + 1, &[Rmw, RelyOn(REORDERED)])),
        "read_after_write" => |n| section(cut(n, n / 2 + 1, &[RelyOn(STALE), ArchFlush])),
        "failing_request" => refused,
        "bh_mismatch" => |n| {
            let closed = [IrqEnter, Disable, IrqExit, RelyOn(LEAK), Later];
            [vec![Enable], times(n, &[Set]), closed.to_vec()].concat()
        },
        "depth_255" => |n| {
            [
                times(256, &[Enable]),
                times(n, &[Set]),
                times(256, &[Disable]),
            ]
            .concat()
        },
        "resume_at_zero" => |n| section(times(n, &[Set])),
        _ => return None,
    })
}

fn preempted(n: u32) -> u32 {
    if n > PREEMPTED { PREEMPTED } else { n / 2 }
}

/// `n` writes with something before number `at`.
fn cut(n: u32, at: u32, what: &[Op]) -> Vec<Op> {
    [times(at, &[Set]), what.to_vec(), times(n - at, &[Set])].concat()
}

/// Half, what is made of the next eight, and the rest.
fn around(n: u32, what: impl Fn(u32) -> Vec<Op>) -> Vec<Op> {
    let before = n / 2;
    let inner = INNER.min(n - before);
    [
        times(before, &[Set]),
        what(inner),
        times(n - before - inner, &[Set]),
    ]
    .concat()
}

/// `each` for `n` entries, with something before every further `every` of them.
fn broken(n: u32, every: u32, each: &[Op], what: &[Op]) -> Vec<Op> {
    let mut ops = times(n.min(every), each);
    let mut done = every;
    while done < n {
        ops.extend(what);
        ops.extend(times((n - done).min(every), each));
        done += every;
    }
    ops
}

/// A write in the first batch that the hypervisor refuses.
fn refused(n: u32) -> Vec<Op> {
    let bad = REFUSED.min(n / 2);
    section(
        [
            times(bad, &[Set]),
            vec![Refused(LOST)],
            times(n - bad - 1, &[Set]),
        ]
        .concat(),
    )
}
