//! What every cell of the lab must come to, computed from the documented model alone.
//!
//! Comes in: a workload, a policy and the axes. Goes out: the traps and direct writes that the
//! modelled kernel makes, or the BUG it stops in, or that it has no such call. Shares nothing
//! with the guest: where guest and model disagree, one of them is wrong and the lab fails.

mod api;
mod buffer;
mod op;
mod sites;
#[cfg(test)]
mod tests;

use crate::config::Batch;
use api::{Api, Hooks, Task};
use op::Op;
use sites::{Release, Site, Where};
use std::fmt;

/// Every workload the model knows.
pub const WORKLOADS: &[&str] = sites::NAMES;

/// Every policy the model knows, `eager` first.
pub const POLICIES: &[&str] = &[
    "eager",
    "legacy-6.1",
    "legacy-6.12",
    "local-state-v2",
    "generic",
    "generic-7.2",
    "strip",
    "arch-pause",
    "with-ptes",
];

/// How a cell must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs to its end and the tables are right.
    Runs,
    /// The modelled kernel stops in this BUG, or serves stale data this way.
    Bug(&'static str),
    /// The modelled kernel has no such call.
    Skip(&'static str),
    /// The model knows no such cell.
    Unknown,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Runs => f.write_str("it to run to its end"),
            Fate::Bug(name) => write!(f, "a bug ({name})"),
            Fate::Skip(why) => write!(f, "it to be skipped ({why})"),
            Fate::Unknown => f.write_str("nothing: the model does not know this cell"),
        }
    }
}

/// What a cell must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// How it ends.
    pub fate: Fate,
    /// Hypercalls in the section; `None` if it does not get through it.
    pub traps: Option<u64>,
    /// Direct writes in the section, likewise.
    pub emulated_writes: Option<u64>,
}

impl Expected {
    /// The same, but for a machine that cannot run what would run.
    pub(crate) fn or_skip(self, why: &'static str) -> Expected {
        match self.fate {
            Fate::Runs => Expected::only(Fate::Skip(why)),
            _ => self,
        }
    }

    const fn only(fate: Fate) -> Expected {
        Expected {
            fate,
            traps: None,
            emulated_writes: None,
        }
    }
}

/// A policy as the model has it.
#[derive(Clone, Copy, Debug)]
struct Model {
    api: Api,
    release: Release,
    /// The pause count of the cell's own task.
    pause_count: u8,
    /// Whether each fork starts one lower, as a switch resumes what nobody paused.
    underflows: bool,
}

fn model(policy: &str) -> Option<Model> {
    let of = |api, release| Model {
        api,
        release,
        pause_count: 0,
        underflows: false,
    };
    Some(match policy {
        "eager" => of(Api::Eager, Release::V7),
        "legacy-6.1" => of(Api::PerCpu, Release::V6_1),
        "legacy-6.12" => of(Api::PerCpuNesting, Release::V6_12),
        "local-state-v2" => of(Api::LocalState, Release::V7),
        "strip" => of(Api::Strip, Release::V7),
        "generic" => of(Api::Nested(Hooks::Cpu), Release::V7),
        "arch-pause" | "with-ptes" => of(Api::Nested(Hooks::Task), Release::V7),
        "generic-7.2" => Model {
            // 0 - 1 in eight bits: nothing initialises the counter.
            pause_count: u8::MAX,
            underflows: true,
            ..of(Api::Nested(Hooks::Task), Release::V7)
        },
        _ => return None,
    })
}

/// What the cell must come to.
#[must_use]
pub fn expect(workload: &str, policy: &str, ptes: u32, batch: Batch, cpus: u32) -> Expected {
    let Some(model) = model(policy) else {
        return Expected::only(Fate::Unknown);
    };
    let at = Where {
        release: model.release,
        api: model.api,
        ptes,
        cpus,
    };
    match sites::site(workload, at) {
        None => Expected::only(Fate::Unknown),
        Some(Site::Absent(why)) => Expected::only(Fate::Skip(why)),
        Some(Site::Steps { ops, forks }) => run(model, batch, &ops, forks),
    }
}

fn run(model: Model, batch: Batch, ops: &[Op], forks: u8) -> Expected {
    let lower = if model.underflows { forks } else { 0 };
    let mut task = Task::new(model.api, batch, model.pause_count.wrapping_sub(lower));
    for op in ops {
        if let Err(bug) = task.step(*op) {
            return Expected::only(Fate::Bug(bug));
        }
    }
    Expected {
        fate: task.hazard.map_or(Fate::Runs, Fate::Bug),
        traps: Some(task.traps()),
        emulated_writes: Some(task.emulated),
    }
}
