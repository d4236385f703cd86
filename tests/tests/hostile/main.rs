//! Hostile guests: each does its worst for a moment, on a CPU or on the dispatch alone. Whatever it
//! does, it ends with a crash and a dump, by the time limit, or by its own will; the hypervisor
//! neither hangs nor panics nor grows, and every page's references are right afterwards.
//!
//! Each class of Xen's past advisories has a test, here or, where no guest is needed, beside what it
//! is about:
//!
//! | XSA | class | test |
//! |---|---|---|
//! | 148, 167 | large pages above L1 | `upper::large_pages`, `xenlet::mm::rules` |
//! | 182 | a writable map by a change of flags | `leaf::writable_by_a_flip`, `xenlet::mm::rules` |
//! | 185, 240, 309 | recursion and its depth | `upper::recursion` |
//! | 45, 58, 264, 290 | (de)validation without end | `floods`, `xenlet::hypercall::bounded` |
//! | 299, 310 | references lost when promotion fails | `xenlet::mm::typing` |
//! | 401, 408 | writable translations of a table | `stale::writable_maps_of_a_page_that_became_a_table`, `race` |
//! | 286 | translations by an entry above L1 that is gone | `stale::entries_above_l1` |
//! | 279 | flushes of addresses that do not exist | `stale::flushes_of_no_address` |
//! | 154, 402 | cache modes | `leaf::cacheability` |
//! | 109, 113 | every command on every type of page | `types::every_command_on_every_type` |
//! | 212 | arrays that end elsewhere | `requests::arrays_that_end_elsewhere`, `floods::asks_for_huge_counts` |
//! | 7, 193 | addresses no CPU takes | `requests::addresses_no_cpu_takes`, `frames::returns_to_garbage` |
//! | 213 | `iret` in a multicall | `requests::iret_in_a_multicall` |
//! | 214, 217, 287 | pages given away while in use | `types::pages_given_away` |
//! | 224, 227, 234 | grants into entries | `grants::grants_into_entries` |
//! | 259, 265, 339, 444 | entry paths | `entry`, `frames`, `instructions` |
//! | 260 | a breakpoint put off into the hypervisor | `entry::breaks_at_the_hypervisors_first_instruction`, `xenlet::kvm::cpu` |
//! | 188, 221, 317, 343 | event channels' numbers | `events::numbers_beyond_the_end`, `upcalls` |
//! | - | a request read twice | `requests::words_that_change_while_they_are_read` |
//! | - | anything else | `random`, `tests/tests/fuzz.rs` |

mod bare;
mod cpus;
mod entry;
mod events;
mod floods;
mod frames;
mod grants;
mod instructions;
mod judge;
mod leaf;
mod race;
mod random;
mod requests;
mod stale;
mod tables;
mod types;
mod upcalls;
mod upper;

use std::process::ExitCode;
use tests::runner::{Check, Checked, PATIENCE, main as run};

/// A theme's checks: names and bodies.
type Theme = &'static [(&'static str, fn() -> Checked)];

/// A theme's module, and those of its functions that are checks.
macro_rules! theme {
    ($module:ident: $($check:ident),+ $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($check)), $module::$check)),+]
    };
}

const THEMES: &[Theme] = &[
    theme!(upper: large_pages, recursion),
    theme!(leaf: writable_by_a_flip, cacheability),
    theme!(types: every_command_on_every_type, tables_are_not_overwritten, pages_given_away),
    theme!(grants: grants_into_entries),
    theme!(events: numbers_beyond_the_end),
    theme!(requests:
        arrays_that_end_elsewhere,
        addresses_no_cpu_takes,
        iret_in_a_multicall,
        words_that_change_while_they_are_read,
    ),
    theme!(stale:
        writable_maps_of_a_page_that_became_a_table,
        entries_above_l1,
        flushes_of_no_address,
    ),
    theme!(entry:
        powers_off,
        spins,
        spins_behind_an_int3,
        faults_without_a_handler,
        jumps_to_garbage,
        rings_the_doorbell_itself,
        touches_what_is_the_hypervisors,
        breaks_at_the_hypervisors_first_instruction,
    ),
    theme!(frames:
        faults_in_a_loop,
        has_a_handler_that_faults,
        returns_to_garbage,
        single_steps,
    ),
    theme!(upcalls:
        has_no_stack_for_an_upcall,
        has_no_callback,
        storms_itself_with_events,
    ),
    theme!(floods:
        floods_the_console,
        asks_for_huge_counts,
        asks_for_many_sizes,
        copies_pages_without_end,
    ),
    theme!(tables:
        maps_everything_writable,
        writes_its_page_tables,
        takes_its_own_tables_away,
    ),
    theme!(instructions: executes_privileged_instructions),
    theme!(cpus: starts_vcpus_with_garbage, flushes_the_other_vcpu),
    theme!(race: writes_to_a_page_that_becomes_a_table),
    theme!(random: calls_at_random_on_one_vcpu, calls_at_random_on_two_vcpus),
];

fn main() -> ExitCode {
    let checks = THEMES.iter().copied().flatten();
    run(checks
        .map(|&(name, check)| Check::new(name, check).within(PATIENCE + random::random_time()))
        .collect())
}
