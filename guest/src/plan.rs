//! The plan on the command line: `key=value` words, of which those below are the lab's. Comes in:
//! text; goes out: which cells, and their axes; or one line that says what is wrong.

use crate::config::{BATCH_MAX, Config, Hooks, MC_ARGS, Order, Rmw, args_for};
use core::fmt;

/// What is wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPlan<'a> {
    /// No such workload.
    Workload(&'a str),
    /// No such policy.
    Policy(&'a str),
    /// No such probe.
    Probe(&'a str),
    /// A value the key does not take.
    Value(&'a str, &'a str),
}

impl fmt::Display for BadPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPlan::Workload(name) => write!(f, "no workload is called {name}"),
            BadPlan::Policy(name) => write!(f, "no policy is called {name}"),
            BadPlan::Probe(name) => write!(f, "no probe is called {name}"),
            BadPlan::Value(key, value) => write!(f, "{key} cannot be {value}"),
        }
    }
}

/// A plan whose names and values are all known.
pub(crate) struct Plan<'a> {
    workloads: Option<&'a str>,
    policies: Option<&'a str>,
    /// Probes to run instead of cells.
    pub probes: Option<&'a str>,
    /// The axes all its cells share.
    pub config: Config,
}

fn workload(name: &str) -> Option<usize> {
    crate::workloads().iter().position(|w| w.name == name)
}

fn policy(name: &str) -> Option<usize> {
    crate::policies().iter().position(|p| p.name == name)
}

impl<'a> Plan<'a> {
    /// Reads a command line.
    pub(crate) fn parse(line: &'a str) -> Result<Plan<'a>, BadPlan<'a>> {
        let mut plan = Plan {
            workloads: None,
            policies: None,
            probes: None,
            config: Config::LINUX,
        };
        for word in line.split_ascii_whitespace() {
            if let Some((key, value)) = word.split_once('=') {
                plan.word(key, value)?;
            }
        }
        Ok(plan)
    }

    fn word(&mut self, key: &'a str, value: &'a str) -> Result<(), BadPlan<'a>> {
        let bad = BadPlan::Value(key, value);
        match key {
            "workload" => {
                known(value, workload).map_err(BadPlan::Workload)?;
                self.workloads = Some(value);
            }
            "policy" => {
                known(value, policy).map_err(BadPlan::Policy)?;
                self.policies = Some(value);
            }
            "probe" => {
                let find = |name: &str| crate::probe::is_known(name).then_some(0);
                known(value, find).map_err(BadPlan::Probe)?;
                self.probes = Some(value);
            }
            "ptes" => self.config.ptes = value.parse().map_err(|_| bad)?,
            "batch" => self.config.args = batch(value).ok_or(bad)?,
            "merge" => self.config.merge = switch(value).ok_or(bad)?,
            "cpu-lazy" => self.config.cpu_lazy = switch(value).ok_or(bad)?,
            "order" => self.config.order = order(value).ok_or(bad)?,
            "rmw" => self.config.rmw = rmw(value).ok_or(bad)?,
            "hooks" => self.config.hooks = Some(hooks(value).ok_or(bad)?),
            "mutant" => self.config.mutant = Some(crate::mutants::find(value).ok_or(bad)?),
            _ => {}
        }
        Ok(())
    }

    /// The workloads of the plan, as numbers.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = usize> + use<'a> {
        chosen(self.workloads, workload, crate::workloads().len())
    }

    /// The policies of the plan, as numbers.
    pub(crate) fn policies(&self) -> impl Iterator<Item = usize> + use<'a> {
        chosen(self.policies, policy, crate::policies().len())
    }
}

/// The first name of a list that `find` does not know is the error.
fn known(list: &str, find: fn(&str) -> Option<usize>) -> Result<(), &str> {
    match list.split(',').find(|name| find(name).is_none()) {
        Some(name) => Err(name),
        None => Ok(()),
    }
}

/// The numbers of a list of names, or all.
fn chosen(
    list: Option<&str>,
    find: fn(&str) -> Option<usize>,
    all: usize,
) -> impl Iterator<Item = usize> {
    let named = list.into_iter().flat_map(|l| l.split(',')).filter_map(find);
    let rest = if list.is_some() { 0 } else { all };
    named.chain(0..rest)
}

fn batch(value: &str) -> Option<usize> {
    if value == "linux" {
        return Some(MC_ARGS);
    }
    value
        .parse()
        .ok()
        .filter(|n| (1..=BATCH_MAX).contains(n))
        .map(args_for)
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn order(value: &str) -> Option<Order> {
    match value {
        "fifo" => Some(Order::Fifo),
        "reordering" => Some(Order::Reordering),
        _ => None,
    }
}

fn rmw(value: &str) -> Option<Rmw> {
    match value {
        "trapped" => Some(Rmw::Trapped),
        "immediate" => Some(Rmw::Immediate),
        "queued" => Some(Rmw::Queued),
        _ => None,
    }
}

fn hooks(value: &str) -> Option<Hooks> {
    match value {
        "cpu-strict" => Some(Hooks::CpuStrict),
        "cpu" => Some(Hooks::Cpu),
        "task" => Some(Hooks::Task),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_left_alone() {
        let plan = Plan::parse("console=hvc0 quiet workload=nest,mprotect ptes=7").expect("good");
        assert_eq!(plan.workloads().count(), 2);
        assert_eq!(plan.policies().count(), 9);
        assert_eq!(plan.config.ptes, 7);
        assert_eq!(plan.config.args, 512);
    }

    #[test]
    fn a_stranger_is_named() {
        assert_eq!(
            Plan::parse("policy=eager,x").err(),
            Some(BadPlan::Policy("x"))
        );
        assert_eq!(Plan::parse("probe=all,x").err(), Some(BadPlan::Probe("x")));
        assert_eq!(
            Plan::parse("batch=0").err(),
            Some(BadPlan::Value("batch", "0"))
        );
        assert_eq!(
            Plan::parse("ptes=-1").err(),
            Some(BadPlan::Value("ptes", "-1"))
        );
    }
}
