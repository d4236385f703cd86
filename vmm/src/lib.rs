//! Xenlet's hypervisor: runs 64-bit Xen PV guests and counts every hypercall trap.
//!
//! A run is a line of owned values: a configuration, an [`image`], a [`domain`] built from it, a
//! vCPU loop ([`kvm`]) that turns each exit into a [`hypercall`] or a [`trap`], page-table rules
//! ([`mm`]) that say what the host must be told, counters ([`stats`]), a [`report`].
//!
//! `mm`, `hypercall`, `trap` and `domain` know nothing of KVM; [`direct`] runs them without.
//!
//! # What a guest can make the hypervisor hold
//!
//! Beside its own memory and 16 bytes for each frame of it:
//!
//! | what | at most | beyond it | tested in |
//! |---|---|---|---|
//! | console output not taken | 1 MiB | the oldest is dropped, `Console::lost` counts | `domain::console` |
//! | console input not read | 16 KiB | what is typed is dropped | `domain::console` |
//! | one `console_io` write, read | 1 MiB, 4 KiB | E2BIG, cut short | `hypercall::tests` |
//! | pending events | a bit a port, in the guest's page | the bit is set already | `domain::notify` |
//! | event channels | 4096 ports | ENOSPC | `domain::events` |
//! | timers | two a vCPU | the new one replaces the old | `domain::timers` |
//! | trap handlers | 256 a vCPU | none: a vector is a byte | |
//! | grant table | 4 frames, there from the beginning | an error in the request | `hypercall::tests` |
//! | xenstore's nodes | 1000 of 2 KiB | ENOSPC | `xenstore::tests` |
//! | watches | 128, tokens of 1 KiB | ENOSPC, EINVAL | `xenstore::tests` |
//! | transactions | 10, of 1024 changes | ENOSPC | `xenstore::tests` |
//! | answers and events not taken | 64 KiB, and one change's events | requests wait | `xenstore::tests` |
//! | the lab's cells | 4096 | ENOSPC | `domain::lab` |
//! | batch sizes on record | 513, and one a power of two | counted as that power | [`stats`] |
//! | last calls on record | 16 a vCPU | the oldest goes | [`stats`] |
//! | errors, exits, vectors on record | one a name | counted | [`stats`] |
//! | log lines | none before its end | | |
//! | a dump | some 40 lines | | [`dump`] |
//!
//! And how long one trap can hold a vCPU, and the lock all share:
//!
//! | what | at most | beyond it | tested in |
//! |---|---|---|---|
//! | work: entries of tables looked at, and as much for all else as takes as long (`hypercall::work`) | 2^18 of about 4 ns, a millisecond, and what one call below takes | the call is executed again | `hypercall::bounded`, `hypercall::charged` |
//! | requests of a call, entries of a multicall | 4096 | likewise | `hypercall::bounded` |
//! | elements of a grant table call | 4096, half a millisecond | EINVAL | `hypercall::tests` |
//! | trap table | 1024 entries | EINVAL | `hypercall::tests` |
//! | ports of a poll, comparisons of the lab | 128, 512 | EINVAL | `hypercall::charged` |
//! | rounds of a ring | 256 | left until the next notification | `domain::services` |
//!
//! Files are bounded too: a kernel or initrd by [`image::MAX_FILE_BYTES`], what a kernel unpacks to
//! by [`image::MAX_UNPACKED`], with dictionaries up to 256 MiB.

pub mod attribution;
pub mod bench;
pub mod boot;
pub mod config;
pub mod direct;
pub mod doctor;
pub mod domain;
pub mod dump;
pub mod exit;
pub mod golden;
pub mod hypercall;
pub mod image;
pub mod images;
pub mod initramfs;
pub mod kvm;
pub mod lab;
mod lines;
pub mod measure;
pub mod memory;
pub mod mm;
pub mod progress;
pub mod report;
pub mod sandbox;
pub mod stats;
pub mod symbols;
pub mod terminal;
pub mod trap;
pub mod xenstore;
