//! Traps of one operation: a group a size and depth, in it a lane a kernel. Where all kernels
//! agree, one lane does for all. What was not measured leaves its lane empty.

use super::super::axis::{TrapAxis, short};
use super::super::subject::{Kernel, Line};
use super::canvas::{Canvas, Drawn, Side, chart};
use super::ink::Ink;
use super::{Chart, GUTTER, LANE, cut, named, scale, x};
use crate::report::measure::{OperationRow, Spread};

/// Between groups.
const GAP: i32 = 7;
/// For the axis' numbers.
const FOOT: i32 = 20;

/// The chart of an operation's lines.
pub(in super::super) fn traps(kernels: &[Kernel<'_>], lines: &[Line<'_>], axis: TrapAxis) -> Chart {
    let heights = lines.iter().map(|line| height(line) + GAP);
    let bottom: i32 = heights.sum();
    let operation = lines.first().map_or("", |line| line.operation);
    let title = format!("hypercall traps of {operation}, by size and kernel, logarithmic");
    chart(bottom + FOOT, &title, |c| {
        scale(c, axis, 0, bottom)?;
        let mut y = GAP;
        for line in lines {
            group(c, y, kernels, line, axis)?;
            y += height(line) + GAP;
        }
        Ok(())
    })
}

/// The ink of the one lane that does for all kernels: they agree, or there is but one.
fn together(line: &Line<'_>) -> Option<Ink> {
    if line.rows.len() == 1 {
        return Some(Ink::Kernel(0));
    }
    let agreed = line.agreed(|row| row.traps);
    agreed.filter(Spread::is_exact).map(|_| Ink::Plain)
}

fn height(line: &Line<'_>) -> i32 {
    match together(line) {
        Some(_) => LANE,
        None => LANE * (1 + line.rows.len() as i32),
    }
}

fn group(
    c: &mut Canvas<'_>,
    top: i32,
    kernels: &[Kernel<'_>],
    line: &Line<'_>,
    axis: TrapAxis,
) -> Drawn {
    let y = top + LANE / 2;
    c.text((0, y), Side::Right, Ink::Plain, &cut(&line.size(), 17))?;
    if let Some(ink) = together(line) {
        return lane(c, y, axis, (line, 0), ink);
    }
    for (k, kernel) in kernels.iter().enumerate() {
        let y = y + LANE * (k as i32 + 1);
        named(c, y, k, &kernel.name)?;
        lane(c, y, axis, (line, k), Ink::Kernel(k))?;
    }
    Ok(())
}

/// The mark with its number, its range, and the least that would have done; or why there is none.
fn lane(
    c: &mut Canvas<'_>,
    y: i32,
    axis: TrapAxis,
    (line, kernel): (&Line<'_>, usize),
    ink: Ink,
) -> Drawn {
    let Some(row) = line.measured(kernel) else {
        return c.text((GUTTER + 6, y), Side::Right, Ink::Soft, line.gap(kernel));
    };
    let [min, median, max] = [row.traps.min, row.traps.median, row.traps.max].map(|n| x(axis, n));
    if row.minimum.linux > 0 {
        let least = x(axis, row.minimum.linux);
        c.line((least, y - 5), (least, y + 5), Ink::Soft)?;
    }
    if !row.traps.is_exact() {
        c.line((min, y), (max, y), ink)?;
    }
    c.mark((median, y), ink, &data(line, row, ink))?;
    let text = short(row.traps.median);
    c.text((median.max(max) + 9, y), Side::Right, Ink::Plain, &text)
}

/// Which row the mark is of; one that is all kernels' names none.
fn data(line: &Line<'_>, row: &OperationRow, ink: Ink) -> Vec<(&'static str, u64)> {
    let mut data = vec![
        ("pages", line.pages),
        ("depth", line.depth),
        ("traps", row.traps.median),
    ];
    if let Ink::Kernel(kernel) = ink {
        data.push(("kernel", kernel as u64));
    }
    data
}
