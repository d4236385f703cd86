//! Everything of one kernel: its counts, what it skipped, its call sites.

use super::super::subject::Kernel;
use super::spread;
use crate::report::measure::{MeasureReport, OperationRow, Spread, Status};
use maud::{Markup, html};

/// Everything of one kernel.
pub(in super::super) fn kernel(place: usize, kernel: &Kernel<'_>) -> Markup {
    let columns = [
        "operation",
        "pages",
        "depth",
        "traps",
        "updates",
        "⌈/31⌉",
        "⌈/512⌉",
        "to win",
        "writes",
        "other calls",
        "elsewhere",
        "flushes",
        "faults",
        "exits",
        "µs",
        "batches",
    ];
    html! {
        details {
            summary { "Every count on " (kernel.name) }
            div.scroll tabindex="0" { table {
                caption { (kernel.name) "; each operation was to be repeated " (kernel.report.repeat) " times; times are those of its host" }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in &kernel.report.results { (counts(place, row)) } }
            } }
            (skipped(kernel.report))
            @if !kernel.report.detail.is_empty() { p.about { (kernel.report.detail.trim()) } }
            (sites(place, kernel))
        }
    }
}

fn counts(kernel: usize, row: &OperationRow) -> Markup {
    if row.status != Status::Measured {
        return html! {};
    }
    let spreads = [
        ("writes", row.emulated_writes),
        ("other", row.other_hypercalls),
        ("elsewhere", row.elsewhere),
        ("flushes", row.flushes),
        ("faults", row.faults),
        ("exits", row.exits),
        ("time_us", row.time_us),
    ];
    html! {
        tr data-kernel=(kernel) data-operation=(row.operation) data-pages=(row.pages)
            data-depth=(row.depth) {
            th scope="row" { code { (row.operation) } }
            td.n { (row.pages) }
            td.n { (row.depth) }
            (cell("traps", row.traps))
            (cell("updates", row.updates))
            td.n data-field="minimum_linux" { (row.minimum.linux) }
            td.n data-field="minimum_table" { (row.minimum.table) }
            td.n data-field="winnable" { (row.winnable) }
            @for (field, of) in spreads { (cell(field, of)) }
            td data-field="batch_sizes" {
                @for (size, calls) in &row.batch_sizes {
                    span.pair data-size=(size) data-calls=(calls) { (calls) "×" (size) " " }
                }
            }
        }
    }
}

fn cell(field: &str, of: Spread) -> Markup {
    html! {
        td.n data-field=(field) data-min=(of.min) data-median=(of.median) data-max=(of.max)
            { (spread(of)) }
    }
}

fn skipped(report: &MeasureReport) -> Markup {
    let rows = report
        .results
        .iter()
        .filter(|r| r.status != Status::Measured);
    html! {
        ul.skipped { @for row in rows {
            li { code { (row.label()) }
                @if row.status == Status::Skipped { " skipped: " } @else { " failed: " }
                (row.detail) }
        } }
    }
}

fn sites(place: usize, kernel: &Kernel<'_>) -> Markup {
    let rows = kernel.report.results.iter();
    let sites = rows.flat_map(|row| row.sites.iter().map(move |site| (row, site)));
    html! {
        div.scroll tabindex="0" { table {
            caption { "Call sites on " (kernel.name) ", the innermost function first" }
            thead { tr {
                @for column in ["row", "traps", "updates", "hypercall", "from"] {
                    th scope="col" { (column) }
                }
            } }
            tbody { @for (row, site) in sites {
                tr data-kernel=(place) data-site=(site.function) {
                    th scope="row" { code { (row.label()) } }
                    td.n data-field="traps" { (site.traps) }
                    td.n data-field="updates" { (site.updates) }
                    td { (site.kind) }
                    td { code { (site.chain.join(" < ")) } }
                }
            } }
        } }
    }
}
