//! The charts: each a column of its own width, drawn by Plotters, coloured by the style sheet.

mod batches;
mod canvas;
mod ink;
mod policies;
mod sites;
mod traps;

pub(super) use batches::batches;
pub(super) use policies::policies;
pub(super) use sites::sites;
pub(super) use traps::traps;

use canvas::{Canvas, Drawn, Side, WIDTH};
use ink::Ink;
use maud::Markup;
use plotters::coord::ranged1d::Ranged;
use plotters::drawing::DrawingAreaErrorKind;
use std::io;

use super::axis::{TrapAxis, tick};

/// What a chart comes to.
pub(super) type Chart = Result<Markup, DrawingAreaErrorKind<io::Error>>;

/// A row of one mark, or one name.
const LANE: i32 = 15;
/// Where names end and the axis begins.
const GUTTER: i32 = 112;
/// Where the axis ends: a number has room to its right.
const END: i32 = WIDTH - 48;
/// Characters of a name that find room in the gutter beside a mark.
const NAME: usize = 14;

/// The kernel's mark, for the legend.
pub(super) fn mark(kernel: usize, name: &str) -> Chart {
    canvas::sized((14, 14), name, |c| c.mark((7, 7), Ink::Kernel(kernel), &[]))
}

/// The place of `traps` on the axis.
fn x(axis: TrapAxis, traps: u64) -> i32 {
    axis.map(&traps, (GUTTER + 6, END))
}

/// The axis' lines from `top` to `bottom`, and its numbers below.
fn scale(c: &mut Canvas<'_>, axis: TrapAxis, top: i32, bottom: i32) -> Drawn {
    for n in axis.ticks(7) {
        c.line((x(axis, n), top), (x(axis, n), bottom), Ink::Hair)?;
        c.text((x(axis, n), bottom + 9), Side::Both, Ink::Soft, &tick(n))?;
    }
    Ok(())
}

/// A kernel's mark and name in the gutter.
fn named(c: &mut Canvas<'_>, y: i32, kernel: usize, name: &str) -> Drawn {
    c.mark((6, y), Ink::Kernel(kernel), &[])?;
    c.text((16, y), Side::Right, Ink::Soft, &cut(name, NAME))
}

/// At most `room` characters of `text`.
fn cut(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(room.saturating_sub(1)).collect();
            format!("{kept}…")
        }
    }
}
