//! The page's sections of charts: traps, batches and call sites, the lab.

use super::axis::TrapAxis;
use super::lab::{Lab, operation};
use super::subject::{Line, Subjects};
use super::{PageError, chart};
use maud::{Markup, html};

/// Rows whose batches and call sites are drawn; the tables have all.
const DRAWN: usize = 12;

/// Traps, an operation a chart.
pub(super) fn operations(subjects: &Subjects<'_>, axis: TrapAxis) -> Result<Markup, PageError> {
    if subjects.lines.is_empty() {
        return Ok(html! {});
    }
    let mut figures = Vec::new();
    for lines in subjects.operations() {
        let svg = chart::traps(&subjects.kernels, lines, axis)?;
        let name = lines.first().map_or("", |line| line.operation);
        figures.push(figure(html! { code { (name) } }, &svg));
    }
    Ok(section(
        "Traps per operation",
        html! { "One lane a kernel, on a logarithmic axis; one lane for all where all agree. A bar
            through the dot shows the range of repetitions, the upright tick the traps that full
            buffers of 31 updates would have taken. " code { "@255" } " is the fork depth." },
        &figures,
    ))
}

/// Of each operation the row with the most to win; of these those with the most.
fn drawn<'s>(subjects: &'s Subjects<'_>) -> Vec<&'s Line<'s>> {
    let winnable = |line: &&Line<'_>| line.all_measured().map(|(_, row)| row.winnable).max();
    let batched = |line: &&Line<'_>| line.all_measured().any(|(_, r)| !r.batch_sizes.is_empty());
    let of_each = subjects.operations().filter_map(|lines| {
        // Of equals the first: the least depth.
        lines.iter().filter(batched).rev().max_by_key(winnable)
    });
    let mut lines: Vec<&Line<'_>> = of_each.collect();
    lines.sort_by_key(|line| std::cmp::Reverse(winnable(line)));
    lines.truncate(DRAWN);
    lines
}

/// Batches and call sites of some rows.
pub(super) fn details(subjects: &Subjects<'_>) -> Result<Markup, PageError> {
    let drawn = drawn(subjects);
    let (mut batches, mut sites) = (Vec::new(), Vec::new());
    for line in &drawn {
        let title = html! { code { (line.label()) } };
        let svg = chart::batches(&subjects.kernels, line)?;
        batches.push(figure(title.clone(), &svg));
        let svg = chart::sites(&subjects.kernels, line)?;
        sites.push(figure(title, &svg));
    }
    if drawn.is_empty() {
        return Ok(html! {});
    }
    let all = subjects.operations().count();
    let which = match drawn.len() {
        n if n < all => {
            format!("Of the {n} operations with the most to win, the row with the most.")
        }
        _ => "Of each operation the row with the most to win.".to_owned(),
    };
    Ok(html! {
        (section("How full the batches are", html! { (which) " Across, the updates a trap carries; a
            bar's height is the share of all updates that went in batches of that size, the number
            above it the traps. Full is 31." }, &batches))
        (section("Where the traps come from", html! { "The same rows, by the first function that is
            not the Xen back end's. The tables have the whole chains." }, &sites))
    })
}

/// Workloads that kernels performed too, or all that tell policies apart if there are none.
pub(super) fn lab(subjects: &Subjects<'_>, axis: TrapAxis) -> Result<Markup, PageError> {
    let Some(lab) = &subjects.lab else {
        return Ok(html! {});
    };
    let same = |workload: &str| -> Vec<&Line<'_>> {
        let lines = subjects.lines.iter();
        lines
            .filter(|l| l.operation == operation(workload) && l.pages == lab.ptes())
            .collect()
    };
    let shared = lab.workloads.iter().any(|w| !same(w).is_empty());
    let mut figures = Vec::new();
    for workload in &lab.workloads {
        let lines = same(workload);
        if lines.is_empty() && (shared || !differs(lab, workload)) {
            continue;
        }
        let svg = chart::policies((lab, workload), &subjects.kernels, &lines, axis)?;
        figures.push(figure(html! { code { (workload) } }, &svg));
    }
    Ok(section(
        "Beside the lab",
        html! { "The lab's model of each kernel generation, a policy a lane, on the same axis ("
        (lab.size()) "). Kernels that did the same work stand below; theirs
            includes what surrounds the section, page tables and flushes." },
        &figures,
    ))
}

fn differs(lab: &Lab<'_>, workload: &str) -> bool {
    let traps = || lab.counted(workload).map(|row| row.traps);
    traps().min() != traps().max()
}

fn section(title: &str, about: Markup, figures: &[Markup]) -> Markup {
    html! {
        section {
            h2 { (title) }
            p.about { (about) }
            div.panels { @for figure in figures { (figure) } }
        }
    }
}

fn figure(title: Markup, svg: &Markup) -> Markup {
    html! { figure { figcaption { (title) } (svg) } }
}
