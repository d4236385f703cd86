//! `multicall`: `rc` is its own result, `value` that of the entry in question.

use super::fixture::{EMPTY, Fixture, RO, RW, SELF, pte};
use super::{Answer, Probe, row};
use hypercalls::multicall::MulticallEntry;
use hypercalls::version::XENVER_VERSION;
use hypercalls::{Nr, Vaddr};

/// Bytes of an entry.
const ENTRY: u64 = size_of::<MulticallEntry>() as u64;
/// Words of one.
const WORDS: usize = ENTRY as usize / 8;
/// Where the entries' own requests are.
const BATCH: u64 = 8 * ENTRY;

/// Makes these calls; the result of number `of`.
fn calls(f: &Fixture<'_>, entries: &[(u64, [u64; 4])], of: u64) -> Answer {
    let mut words = [0x77; WORDS * 4];
    for (entry, (op, args)) in words.chunks_exact_mut(WORDS).zip(entries) {
        entry[0] = *op;
        entry[2..6].copy_from_slice(args);
    }
    f.put(&words[..WORDS * entries.len()]);
    let answer = f.call(
        Nr::Multicall,
        [f.requests().0, entries.len() as u64, 0, 0, 0],
    );
    answer.with(f.load(f.requests().add(of * ENTRY + 8)))
}

/// An `mmu_update` entry of one request, whose request is written at place `n`.
fn update(f: &Fixture<'_>, n: u64, val: u64) -> (u64, [u64; 4]) {
    let at = f.requests().add(BATCH + 16 * n);
    f.store(at, f.l1().entry(EMPTY + n as usize).0);
    f.store(at.add(8), val);
    (Nr::MmuUpdate as u64, [at.0, 1, 0, SELF])
}

const VERSION: (u64, [u64; 4]) = (Nr::XenVersion as u64, [XENVER_VERSION as u64, 0, 0, 0]);
const UNKNOWN: (u64, [u64; 4]) = (62, [0; 4]);

pub(super) const ROWS: [Probe; 14] = [
    row("multicall_none", |f| {
        f.call(Nr::Multicall, [f.requests().0, 0, 0, 0, 0])
    }),
    row("multicall_unknown_call", |f| calls(f, &[UNKNOWN], 0)),
    row("multicall_call_all_ones", |f| {
        calls(f, &[(u64::MAX, [0; 4])], 0)
    }),
    row("multicall_call_with_high_bits", |f| {
        calls(f, &[(1 << 32 | Nr::StackSwitch as u64, [0, 0, 0, 0])], 0)
    }),
    row("multicall_nested", |f| {
        calls(f, &[(Nr::Multicall as u64, [f.requests().0, 1, 0, 0])], 0)
    }),
    row("multicall_nested_none", |f| {
        calls(f, &[(Nr::Multicall as u64, [f.requests().0, 0, 0, 0])], 0)
    }),
    row("multicall_goes_on_after_a_failure", |f| {
        let entries = [
            UNKNOWN,
            update(f, 0, pte(f.l1(), RW)),
            update(f, 1, pte(f.data(), RO)),
        ];
        calls(f, &entries, 2)
    }),
    row("multicall_keeps_a_failure", |f| {
        let entries = [
            UNKNOWN,
            update(f, 0, pte(f.l1(), RW)),
            update(f, 1, pte(f.data(), RO)),
        ];
        calls(f, &entries, 1)
    }),
    row("multicall_calls_the_others", |f| {
        calls(f, &[UNKNOWN, VERSION, UNKNOWN], 2)
    }),
    row("multicall_in_the_hole", |f| {
        f.call(Nr::Multicall, [Vaddr::from_l4_slot(256).0, 1, 0, 0, 0])
    }),
    row("multicall_wraps", |f| {
        f.call(Nr::Multicall, [u64::MAX - 63, 2, 0, 0, 0])
    }),
    row("multicall_not_mapped", |f| {
        f.call(Nr::Multicall, [f.no_l1().0, 1, 0, 0, 0])
    }),
    row("multicall_count_is_32_bits", |f| {
        f.call(Nr::Multicall, [f.no_l1().0, 1 << 32, 0, 0, 0])
    }),
    row("multicall_results_not_writable", |f| {
        f.call(Nr::Multicall, [f.va(3).0, 1, 0, 0, 0])
    }),
];
