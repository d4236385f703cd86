//! The lab's matrix.

use super::super::lab::Lab;
use maud::{Markup, html};

/// The lab's matrix, workloads down, policies across.
pub(in super::super) fn lab(lab: &Lab<'_>) -> Markup {
    html! {
        div.scroll tabindex="0" { table #lab {
            caption { "The lab: traps in the section, " (lab.size()) }
            thead { tr {
                th scope="col" { "workload" }
                @for policy in &lab.policies { th.n scope="col" { (policy) } }
            } }
            tbody { @for workload in &lab.workloads { tr {
                th scope="row" { code { (workload) } }
                @for policy in &lab.policies { (lab_cell(lab, workload, policy)) }
            } } }
        } }
    }
}

fn lab_cell(lab: &Lab<'_>, workload: &str, policy: &str) -> Markup {
    match lab.cell(workload, policy) {
        Some(row) if row.counted() => html! {
            td.n data-workload=(workload) data-policy=(policy) data-traps=(row.traps) { (row.traps) }
        },
        Some(row) => html! {
            td.n.gap data-workload=(workload) data-policy=(policy) title=(row.detail)
                { (row.verdict.name()) }
        },
        None => html! { td.n.gap data-workload=(workload) data-policy=(policy) { "no row" } },
    }
}
