//! The numbers themselves, for reading and for scripts: each cell carries its own as `data-`
//! attributes. What was not measured is a gap, never a zero.

mod kernel;
mod lab;

pub(super) use kernel::kernel;
pub(super) use lab::lab;

use super::growth::Growth;
use super::subject::{Line, Subjects};
use crate::report::measure::Spread;
use maud::{Markup, html};

/// Traps across kernels.
pub(super) fn traps(subjects: &Subjects<'_>) -> Markup {
    html! {
        div.scroll tabindex="0" { table #traps {
            caption { "Hypercall traps; the median, and the range where repetitions differ. "
                span.worse { "Underlined" } ": more than on an earlier kernel, beyond noise." }
            thead { tr {
                th scope="col" { "operation" }
                th.n scope="col" { "pages" }
                th.n scope="col" { "depth" }
                @for kernel in &subjects.kernels { th.n scope="col" { (kernel.name) } }
            } }
            tbody { @for line in &subjects.lines { tr {
                th scope="row" { code { (line.operation) } }
                td.n { (line.pages) }
                td.n { (line.depth) }
                @for k in 0..subjects.kernels.len() { (across(line, k)) }
            } } }
        } }
    }
}

fn across(line: &Line<'_>, kernel: usize) -> Markup {
    let Some(row) = line.measured(kernel) else {
        return html! {
            td.n.gap data-operation=(line.operation) data-pages=(line.pages)
                data-depth=(line.depth) data-kernel=(kernel) { (line.gap(kernel)) }
        };
    };
    let worse = Growth::up_to(line, kernel).is_some();
    html! {
        td.n.worse[worse] data-operation=(line.operation) data-pages=(line.pages)
            data-depth=(line.depth) data-kernel=(kernel) data-traps=(row.traps.median)
            { (spread(row.traps)) }
    }
}

/// The middle one, with the range if there is any.
fn spread(spread: Spread) -> Markup {
    html! {
        (spread.median)
        @if !spread.is_exact() { span.range { " (" (spread.min) "–" (spread.max) ")" } }
    }
}
