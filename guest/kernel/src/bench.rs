//! What queueing a page-table write costs, in TSC ticks, beside a plain store: `bench=queue` on
//! the command line. Printed as one line for `xenlet bench`.
#![allow(unsafe_code, reason = "reads the time-stamp counter")]

use crate::{console, kernel, physmap};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};
use guest::machine::Machine;
use hypercalls::pte::PteFlags;
use hypercalls::{Mfn, Pte};

/// The key that asks for it.
pub(crate) const PLAN: &str = "bench=queue";

/// Writes a round: as many as Linux's buffer takes without a flush.
const WRITES: usize = 30;
const ROUNDS: usize = 2001;
/// How often a round of plain stores goes over all cells: one pass is too short to be timed.
const PASSES: usize = 64;

static CELLS: [AtomicU64; WRITES] = [const { AtomicU64::new(0) }; WRITES];

fn ticks() -> u64 {
    // SAFETY: every CPU this target is for has RDTSC and LFENCE; neither touches memory.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

/// Measures and prints the quartiles of all rounds, in ticks a round.
pub(crate) fn run() {
    let kernel = kernel::get();
    assert!(kernel.set_policy("generic"), "no policy generic");
    let (free, _) = kernel.machine().free_frames();
    // Entries of a frame that is no table: the writes are real, their target is plain memory.
    let frame = physmap::p2m(free);
    let (mut queued, mut stored) = ([0; ROUNDS], [0; ROUNDS]);
    for round in 0..ROUNDS {
        queued[round] = queue(frame, round as u64);
        stored[round] = store(round as u64);
    }
    let [queued, stored] = [&mut queued, &mut stored].map(|samples| {
        samples.sort_unstable();
        [1, 2, 3].map(|quarter| samples[ROUNDS * quarter / 4])
    });
    console::line(format_args!(
        "bench: rounds {ROUNDS} queued {WRITES} {} {} {} stored {} {} {} {}",
        queued[0],
        queued[1],
        queued[2],
        WRITES * PASSES,
        stored[0],
        stored[1],
        stored[2],
    ));
}

fn queue(frame: Mfn, round: u64) -> u64 {
    let kernel = kernel::get();
    let token = kernel.lazy_mmu_mode_enable().expect("outside any section");
    let start = ticks();
    for slot in 0..WRITES {
        let pte = Pte::new(Mfn(round), PteFlags::ACCESSED);
        kernel.set_pte(frame.entry(slot), pte);
    }
    let took = ticks() - start;
    assert!(
        kernel.lazy_mmu_mode_disable(token),
        "in the section just entered"
    );
    took
}

fn store(round: u64) -> u64 {
    let start = ticks();
    for pass in 0..PASSES as u64 {
        for cell in &CELLS {
            // Without the black box the compiler keeps the last pass only.
            black_box(cell).store(round ^ pass, Ordering::Relaxed);
        }
    }
    ticks() - start
}
