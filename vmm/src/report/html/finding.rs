//! What the page says first: the worst regression among the kernels, in the order they were given;
//! of one kernel, what batching could still win; of the lab alone, what batching saves there.

use super::growth::Growth;
use super::lab::Lab;
use super::subject::Subjects;
use crate::report::ResultRow;
use crate::report::measure::{OperationRow, Site};

/// A sentence, and what is to be known beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) headline: String,
    pub(super) detail: String,
}

/// What there is to say.
pub(super) fn finding(subjects: &Subjects<'_>) -> Finding {
    match (&subjects.kernels[..], &subjects.lab) {
        ([], Some(lab)) => in_lab(lab),
        ([_], _) => to_win(subjects),
        _ => regression(subjects),
    }
}

fn regression(subjects: &Subjects<'_>) -> Finding {
    let grown: Vec<Growth> = subjects.lines.iter().filter_map(Growth::worst).collect();
    let name = |kernel: usize| subjects.kernels[kernel].name.as_str();
    let lines = subjects.lines.iter();
    let both = lines.filter(|line| line.all_measured().count() > 1).count();
    let Some(worst) = grown.iter().min_by(|a, b| a.worst_first(b)) else {
        return Finding {
            headline: format!("No operation traps more than on {}", name(0)),
            detail: format!("{both} rows of two or more kernels, none worse beyond noise."),
        };
    };
    let row = &worst.row;
    Finding {
        headline: format!(
            "{} takes {} traps on {}, {} on {}",
            row.label,
            row.b.traps.median,
            name(worst.to),
            row.a.traps.median,
            name(worst.from),
        ),
        detail: format!(
            "{}{}{} of {both} rows trap more than on an earlier kernel, beyond noise.",
            worst.cause(),
            site(row.b.site.as_ref(), row.b.traps.median),
            grown.len(),
        ),
    }
}

fn site(site: Option<&Site>, traps: u64) -> String {
    site.map_or(String::new(), |site| {
        format!("{} of the {traps} from {}. ", site.traps, site.function)
    })
}

fn to_win(subjects: &Subjects<'_>) -> Finding {
    let rows = subjects.lines.iter().filter_map(|line| line.measured(0));
    let winnable = |row: &&OperationRow| row.winnable;
    let name = subjects.kernels.first().map_or("", |k| k.name.as_str());
    let count = subjects.lines.len();
    match rows
        .rev()
        .max_by_key(winnable)
        .filter(|row| row.winnable > 0)
    {
        None => Finding {
            headline: format!("On {name} batching has nothing left to win"),
            detail: format!("{count} rows, no trap with updates beyond a full buffer's."),
        },
        Some(row) => Finding {
            headline: format!(
                "{} takes {} traps on {name}; {} would do",
                row.label(),
                row.traps.median,
                row.traps.median.saturating_sub(row.winnable),
            ),
            detail: format!(
                "{}The most that batching could still win in {count} rows.",
                site(row.main_site(), row.traps.median)
            ),
        },
    }
}

/// The widest gap between two policies.
fn in_lab(lab: &Lab<'_>) -> Finding {
    let traps = |row: &&ResultRow| row.traps;
    let gaps = lab.workloads.iter().filter_map(|workload| {
        let least = lab.counted(workload).min_by_key(traps)?;
        let most = lab.counted(workload).max_by_key(traps)?;
        Some((most.traps as f64 / least.traps.max(1) as f64, least, most))
    });
    let gaps: Vec<_> = gaps.collect();
    let detail = format!("The lab, {}.", lab.size());
    let headline = match gaps.iter().rev().max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, least, most)) if most.traps > least.traps => format!(
            "{} takes {} traps under {}, {} under {}",
            most.workload, most.traps, most.policy, least.traps, least.policy
        ),
        _ => "All policies take the same traps".to_owned(),
    };
    Finding { headline, detail }
}
