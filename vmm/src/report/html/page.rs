//! The page's order: the finding, the kernels, charts of traps, batches, call sites and policies,
//! then the numbers.

use super::axis::TrapAxis;
use super::chart;
use super::finding::Finding;
use super::subject::{Line, Subjects};
use super::{PageError, sections, tables};
use crate::report::Version;
use crate::report::boot::Ended;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Colours, type and columns.
const STYLE: &str = include_str!("style.css");
/// Nothing is fetched and nothing runs, whatever a report says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The document.
pub(super) fn document(subjects: &Subjects<'_>, finding: &Finding) -> Result<Markup, PageError> {
    let axis = axis(subjects);
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Xenlet: " (finding.headline) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "Hypercall traps of Xen PV guests" }
                    h1 { (unbroken(&finding.headline)) }
                    p.deck { (finding.detail) }
                    (legend(subjects)?)
                }
                main {
                    (sections::operations(subjects, axis)?)
                    (sections::details(subjects)?)
                    (sections::lab(subjects, axis)?)
                    (numbers(subjects))
                }
                (footer(subjects))
            }
        }
    })
}

/// Words with hyphens are names, and are not broken where there is room for them.
fn unbroken(text: &str) -> Markup {
    html! { @for word in text.split(' ') { span.word[word.contains('-')] { (word) } " " } }
}

fn axis(subjects: &Subjects<'_>) -> TrapAxis {
    let measured = subjects.lines.iter().flat_map(Line::all_measured);
    let lab = subjects.lab.iter();
    let workloads = lab.flat_map(|lab| lab.workloads.iter().map(move |w| (lab, w)));
    let rows = workloads.flat_map(|(lab, workload)| lab.counted(workload));
    let most = measured.map(|(_, row)| row.traps.max);
    TrapAxis::holding(most.chain(rows.map(|row| row.traps)))
}

/// The kernels: mark, name, who they say they are, and how they ended if not well.
fn legend(subjects: &Subjects<'_>) -> Result<Markup, PageError> {
    let mut items = Vec::new();
    for (k, kernel) in subjects.kernels.iter().enumerate() {
        let report = kernel.report;
        items.push(html! {
            li data-kernel=(k) data-name=(kernel.name) {
                (chart::mark(k, &kernel.name)?)
                strong { (kernel.name) }
                span.release { (report.kernel.release) }
                @if !matches!(report.ended, Ended::Poweroff | Ended::Reboot) {
                    span.worse { "did not end by itself; rows may be missing" }
                }
            }
        });
    }
    Ok(html! { ul.legend { @for item in items { (item) } } })
}

fn numbers(subjects: &Subjects<'_>) -> Markup {
    html! {
        section {
            h2 { "The numbers" }
            @if !subjects.kernels.is_empty() {
                (tables::traps(subjects))
                @for (k, kernel) in subjects.kernels.iter().enumerate() {
                    (tables::kernel(k, kernel))
                }
            }
            @if let Some(lab) = &subjects.lab { (tables::lab(lab)) }
        }
    }
}

fn footer(subjects: &Subjects<'_>) -> Markup {
    let this = Version::this();
    html! {
        footer {
            @for kernel in &subjects.kernels {
                p { (kernel.name) ": " (kernel.report.kernel.banner.trim()) " Measured by xenlet "
                    (kernel.report.xenlet.version) " (" (kernel.report.xenlet.revision) ") on "
                    (kernel.report.host.cpu) ", Linux " (kernel.report.host.kernel) "." }
            }
            p { "Made by xenlet " (this.version) " (" (this.revision) ")." }
        }
    }
}
