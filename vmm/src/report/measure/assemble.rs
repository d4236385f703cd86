//! From samples to rows: repetitions of one operation together, sites by their functions' names.

use super::row::{EMULATED_WRITE, Minimum, OperationRow, Scope, Site, Spread, Status};
use crate::attribution::{Attribution, Fate, Kind, Sample, SiteCount, SiteId, Sites};
use crate::symbols::Symbols;
use std::collections::BTreeMap;

/// Functions of the Xen back end, between the trap and the code that is to be named.
const BACK_END: [&str; 8] = [
    "xen_",
    "__xen_",
    "_xen_",
    "pv_",
    "__raw_callee_save_",
    "HYPERVISOR_",
    "hypercall_page",
    "paravirt_",
];
/// Generic accessors that the architecture gives: what called them is the site.
const ACCESSORS: [&str; 16] = [
    "ptep_modify_prot_start",
    "ptep_modify_prot_commit",
    "set_pte",
    "set_pte_at",
    "set_ptes",
    "native_set_pte",
    "pte_clear",
    "ptep_get_and_clear",
    "ptep_set_access_flags",
    "arch_leave_lazy_mmu_mode",
    "arch_flush_lazy_mmu_mode",
    "flush_tlb_mm_range",
    "set_pmd",
    "make_uffd_wp_pte",
    "modify_prot_commit_ptes",
    "modify_prot_start_ptes",
];
/// Where the kernel was entered: what lies beyond is no caller.
const ENTRIES: [&str; 5] = [
    "asm_",
    "entry_",
    "do_syscall_64",
    "ret_from_fork",
    "x64_sys_call",
];

/// A row an operation, size and depth, in the order of their first samples.
#[must_use]
pub fn operations(attribution: &Attribution, symbols: &Symbols) -> Vec<OperationRow> {
    let mut groups: Vec<Vec<&Sample>> = Vec::new();
    for sample in &attribution.samples {
        let same = |group: &&mut Vec<&Sample>| group.first().is_some_and(|f| together(f, sample));
        match groups.iter_mut().rev().find(same) {
            Some(group) => group.push(sample),
            None => groups.push(vec![sample]),
        }
    }
    let rows = groups
        .iter()
        .map(|group| row(group, &attribution.sites, symbols));
    rows.collect()
}

fn together(a: &Sample, b: &Sample) -> bool {
    let key = |s: &Sample| (s.label.pages, s.label.depth);
    a.label.operation == b.label.operation && key(a) == key(b)
}

fn row(group: &[&Sample], sites: &Sites, symbols: &Symbols) -> OperationRow {
    let (status, detail) = fate(group);
    let mut measured: Vec<&Sample> = group.to_vec();
    measured.retain(|s| s.fate == Fate::Measured && status == Status::Measured);
    let spread = |of: fn(&Sample) -> u64| Spread::of(measured.iter().map(|s| of(s)));
    let traps = spread(|s| s.traps);
    let (updates, emulated_writes) = (spread(|s| s.updates), spread(|s| s.emulated_writes));
    let middle = measured.iter().find(|s| s.traps == traps.median);
    let middle = middle.map_or_else(Sample::default, |s| (**s).clone());
    let minimum = Minimum::of(middle.updates);
    let carrying: u64 = middle.batch_sizes.values().sum();
    let label = &group[0].label;
    OperationRow {
        operation: label.operation.clone(),
        pages: label.pages,
        depth: label.depth,
        scope: if label.all_tasks {
            Scope::All
        } else {
            Scope::Task
        },
        status,
        detail,
        repetitions: measured.len() as u64,
        deterministic: [traps, updates, emulated_writes]
            .iter()
            .all(Spread::is_exact),
        traps,
        updates,
        emulated_writes,
        other_hypercalls: spread(|s| s.other_hypercalls),
        elsewhere: spread(|s| s.elsewhere),
        faults: spread(|s| s.faults),
        flushes: spread(|s| s.flushes),
        exits: spread(|s| s.exits),
        time_us: spread(|s| s.time_ns / 1000),
        by_hypercall: named(&middle.by_kind),
        by_multicall_entry: named(&middle.by_entry),
        minimum,
        winnable: carrying.saturating_sub(minimum.linux),
        sites: by_function(&middle.sites, sites, symbols),
        sites_dropped: middle.sites_dropped,
        batch_sizes: middle.batch_sizes,
    }
}

/// The worst of all repetitions.
fn fate(group: &[&Sample]) -> (Status, String) {
    let failed = group.iter().find_map(|s| match &s.fate {
        Fate::Failed(why) => Some((Status::Failed, why.clone())),
        _ => None,
    });
    let skipped = group.iter().find_map(|s| match &s.fate {
        Fate::Skipped(why) => Some((Status::Skipped, why.clone())),
        _ => None,
    });
    failed
        .or(skipped)
        .unwrap_or((Status::Measured, String::new()))
}

fn named(kinds: &BTreeMap<Kind, u64>) -> BTreeMap<String, u64> {
    kinds.iter().map(|(kind, n)| (kind.name(), *n)).collect()
}

/// Chains of the same functions are one site, whatever the addresses in them.
fn by_function(
    counts: &BTreeMap<(SiteId, Kind), SiteCount>,
    sites: &Sites,
    symbols: &Symbols,
) -> Vec<Site> {
    let mut merged: BTreeMap<(String, Vec<String>), SiteCount> = BTreeMap::new();
    for ((id, kind), count) in counts {
        let chain = chain(sites.chain(*id), symbols);
        let sum = merged.entry((kind.name(), chain)).or_default();
        sum.traps += count.traps;
        sum.updates = sum.updates.saturating_add(count.updates);
    }
    let mut rows: Vec<Site> = merged
        .into_iter()
        .map(|((kind, chain), count)| Site {
            updates: if kind == EMULATED_WRITE {
                0
            } else {
                count.updates
            },
            function: function(&chain),
            kind,
            chain,
            traps: count.traps,
        })
        .collect();
    rows.sort_by_key(|site| std::cmp::Reverse(site.traps));
    rows
}

/// The chain's functions, up to where the kernel was entered. Without symbols, the addresses.
fn chain(addresses: &[u64], symbols: &Symbols) -> Vec<String> {
    let names = addresses.iter().enumerate().map(|(index, &at)| {
        // A return address belongs to the call before it.
        let name = symbols.function(at.wrapping_sub(u64::from(index > 0)));
        name.map_or_else(|| format!("{at:#x}"), str::to_owned)
    });
    let inside = |name: &String| !ENTRIES.iter().any(|entry| name.starts_with(entry));
    names.take_while(inside).collect()
}

/// The first function that is neither the back end's nor a mere accessor.
fn function(chain: &[String]) -> String {
    let own = |name: &&String| {
        let back_end = BACK_END.iter().any(|prefix| name.starts_with(prefix));
        // The compiler's copies of a function have its name and a suffix.
        let plain = name.split('.').next().unwrap_or(name);
        !back_end && !ACCESSORS.contains(&plain)
    };
    let found = chain.iter().find(own).or(chain.first());
    found.map_or_else(|| "unknown".to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_whoever_called_the_back_end() {
        let chain = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let prot = chain(&[
            "xen_mc_flush",
            "xen_ptep_modify_prot_commit",
            "change_pte_range",
        ]);
        assert_eq!(function(&prot), "change_pte_range");
        assert_eq!(function(&chain(&["xen_mc_flush"])), "xen_mc_flush");
        assert_eq!(function(&[]), "unknown");
        let symbols = Symbols::new([
            (0x10, b'T', "a"),
            (0x20, b'T', "b"),
            (0x30, b'T', "do_syscall_64"),
        ]);
        // The second address is right behind a call at the end of `a`.
        assert_eq!(super::chain(&[0x21, 0x20, 0x31], &symbols), ["b", "a"]);
    }
}
