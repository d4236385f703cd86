//! `xenlet mutants`, in test builds only: the deliberate faults of the guest, a line each.

use super::super::names::{Named, chosen, mutants as all};
use super::super::output::Output;
use super::super::{Exit, Failure};

/// Prints the list: a name, a tab, the bug.
pub(in super::super) fn mutants(output: &Output) -> Result<Exit, Failure> {
    let line = |m: Named| format!("{}\t{}\n", m.name, m.models);
    output.write(&all().into_iter().map(line).collect::<String>())?;
    Ok(Exit::Done)
}

/// The name of `--mutant`, if there is such a fault.
pub(super) fn mutant(name: Option<String>) -> Result<Option<String>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let found = chosen("mutant", &[name], &all()).map_err(Failure::usage)?;
    Ok(found.into_iter().next())
}
