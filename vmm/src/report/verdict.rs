//! A row's verdict: hypervisor, guest and model must agree on every count, and the page tables
//! must be right wherever anyone looked. Someone must have looked.

use super::{CellReport, FinalState, ResultRow, Verdict};
use crate::golden::{Expected, Fate};
use hypercalls::lab::Outcome;

/// The verdict and its detail.
pub(super) fn verdict(
    cell: &CellReport,
    row: &ResultRow,
    expected: &Expected,
) -> (Verdict, String) {
    let said = cell.result.detail.as_str();
    let bug = cell.result.bug.as_str();
    match (Outcome::from_raw(cell.result.outcome), &expected.fate) {
        (None, _) => {
            let detail = format!("the guest reported outcome {}", cell.result.outcome);
            (Verdict::Error, detail)
        }
        (Some(Outcome::Error), _) => (Verdict::Error, said.to_owned()),
        (Some(Outcome::Skip), Fate::Skip(why)) => {
            let detail = if said.is_empty() { why } else { said };
            (Verdict::Skip, detail.to_owned())
        }
        (Some(Outcome::Bug), Fate::Bug(name)) => match wrong_bug(cell, row, expected, name) {
            None => (Verdict::Bug, bug.to_owned()),
            Some(wrong) => (Verdict::Fail, format!("{bug}: {wrong}")),
        },
        (Some(Outcome::Ran), Fate::Runs) => match wrong(cell, row, expected) {
            None => (Verdict::Pass, said.to_owned()),
            Some(wrong) => (Verdict::Fail, wrong),
        },
        (Some(outcome), fate) => {
            let got = described(outcome, bug, said);
            (Verdict::Fail, format!("expected {fate}, but it {got}"))
        }
    }
}

fn described(outcome: Outcome, bug: &str, said: &str) -> String {
    match outcome {
        Outcome::Ran => "ran to its end".to_owned(),
        Outcome::Bug => format!("stopped in {bug}"),
        Outcome::Skip => format!("was skipped: {said}"),
        Outcome::Error => format!("went wrong: {said}"),
    }
}

/// What is wrong with a cell that stopped in a BUG, or served stale data and went on. It must be the
/// one that the model names (the guest may add where, or which commit), and in either case the
/// tables must be right: what was promised before the BUG, and what waits once it is flushed.
fn wrong_bug(
    cell: &CellReport,
    row: &ResultRow,
    expected: &Expected,
    name: &str,
) -> Option<String> {
    if !cell.result.bug.as_str().starts_with(name) {
        return Some(format!("expected {name}"));
    }
    wrong(cell, row, expected)
}

/// What is wrong with a cell's tables or counts.
fn wrong(cell: &CellReport, row: &ResultRow, expected: &Expected) -> Option<String> {
    if row.final_state == FinalState::Wrong {
        return Some(wrong_state(cell));
    }
    if !row.checks.any() {
        return Some("nothing was compared: the result proves nothing".to_owned());
    }
    wrong_counts(cell, expected)
}

fn wrong_state(cell: &CellReport) -> String {
    let r = &cell.result;
    let first = match (r.detail.as_str(), &cell.first_mismatch) {
        ("", Some(mismatch)) => mismatch.as_str(),
        (said, _) => said,
    };
    format!(
        "wrong page tables: {} of {} entries differ from the guest's model, {} of {} from the \
         hypervisor's walk, {} of {} pages misbehave; first: {first}",
        r.differing, r.compared, cell.check_mismatches, cell.checked, r.mistouched, r.touched
    )
}

fn wrong_counts(cell: &CellReport, expected: &Expected) -> Option<String> {
    let differs = |what: &str, got: u64, want: u64, whose: &str| {
        (got != want).then(|| format!("{got} {what}, {whose} {want}"))
    };
    let model = "the model expects";
    let guest = "the guest counted";
    let calls = &cell.result.calls[1..];
    expected
        .traps
        .and_then(|want| differs("traps", cell.traps, want, model))
        .or_else(|| {
            let want = expected.emulated_writes?;
            differs("emulated writes", cell.emulated_writes, want, model)
        })
        .or_else(|| differs("traps", cell.traps, calls.iter().sum(), guest))
        .or_else(|| differs("updates", cell.updates, cell.result.updates, guest))
        .or_else(|| {
            let want = cell.result.emulated_writes;
            differs("emulated writes", cell.emulated_writes, want, guest)
        })
        .or_else(|| {
            let differ = cell.flush_reasons[1..] != *calls;
            differ.then(|| "the reasons of the traps are not those the guest counted".to_owned())
        })
}
