//! The measuring guest as a library: pure, `no_std`, tested on the host.
//!
//! Owns Linux's half of the story: who may queue a page-table write, when the queue is flushed and
//! why ([`mmu`]), tasks and interrupts that get in between (`sched`), the kernel functions that
//! use it (`workloads`), and an oracle that knows what the tables should hold (`oracle`). Comes
//! in: a [`machine::Machine`] and a plan (a command line). Goes out: hypercalls, each with its
//! cause, and a result a cell.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod config;
mod frames;
mod kernel;
pub mod lab;
pub mod machine;
mod meter;
pub mod mmu;
#[cfg(test)]
mod mock;
mod mutants;
mod oracle;
mod plan;
mod probe;
pub mod program;
mod region;
mod sched;
mod verdict;
mod work;
mod workloads;

pub use config::Release;
pub use kernel::{Kernel, TASKS as MAX_TASKS};
pub use mmu::lazy::{Pauses, PolicyInfo};
pub use mutants::{Mutant, mutants};
pub use workloads::WorkloadInfo;

/// Every policy, in the order of the report's columns.
#[must_use]
pub fn policies() -> &'static [PolicyInfo] {
    &mmu::lazy::TABLE
}

/// Every workload, in the order of the report's rows.
#[must_use]
pub fn workloads() -> &'static [WorkloadInfo] {
    &workloads::TABLE
}
