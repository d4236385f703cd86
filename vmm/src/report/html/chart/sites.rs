//! Where the traps of one line come from: its call sites as bars, the kernels one below the other.

use super::super::axis::short;
use super::super::subject::{Kernel, Line};
use super::canvas::{Canvas, Drawn, Side, WIDTH, chart};
use super::ink::{CODE_PX, Ink};
use super::{Chart, LANE, cut};
use crate::report::measure::OperationRow;

/// Sites shown of one kernel; the rest is one more bar.
const SHOWN: usize = 3;
/// A site: its name, its bar.
const SITE: i32 = LANE + 8;
/// Bars begin below the names, not below the kernel's mark.
const LEFT: i32 = 16;
/// Characters of a function that find room beside its number.
const FUNCTION: usize = 35;
/// The width of a character of a hypercall's name, or a little more.
const TEXT_PX: f32 = 6.7;
/// Where the number begins.
const NUMBER: i32 = WIDTH - 44;

/// A bar: function, hypercall, traps.
type Bar<'a> = (&'a str, &'a str, u64);

/// A kernel's bars, or all kernels'.
struct Block<'a> {
    ink: Ink,
    head: String,
    bars: Vec<Bar<'a>>,
}

/// The chart of a line.
pub(in super::super) fn sites(kernels: &[Kernel<'_>], line: &Line<'_>) -> Chart {
    let blocks: Vec<Block<'_>> = match line.agreed(|row| &row.sites) {
        Some(_) => vec![block(line, 0, Ink::Plain, "all kernels")],
        None => {
            let named = kernels.iter().enumerate();
            named
                .map(|(k, kernel)| block(line, k, Ink::Kernel(k), &kernel.name))
                .collect()
        }
    };
    let bars = blocks.iter().flat_map(|block| &block.bars);
    let most = bars.map(|bar| bar.2).max().unwrap_or(0);
    let title = format!("call sites of {}, by kernel", line.label());
    chart(blocks.iter().map(height).sum(), &title, |c| {
        let mut top = 0;
        for block in &blocks {
            draw(c, top, most, block)?;
            top += height(block);
        }
        Ok(())
    })
}

fn block<'a>(line: &Line<'a>, kernel: usize, ink: Ink, name: &str) -> Block<'a> {
    let bars = line.measured(kernel).map_or(Vec::new(), bars);
    let name = cut(name, FUNCTION);
    let head = match line.measured(kernel) {
        None => format!("{name}: {}", line.gap(kernel)),
        Some(_) if bars.is_empty() => format!("{name}: no call sites"),
        Some(_) => name,
    };
    Block { ink, head, bars }
}

/// The first functions by hypercall, whatever called them, and the others as one.
fn bars(row: &OperationRow) -> Vec<Bar<'_>> {
    let mut bars: Vec<Bar<'_>> = Vec::new();
    let mut others = row.sites_dropped;
    for site in &row.sites {
        let same = |bar: &Bar<'_>| bar.0 == site.function && bar.1 == site.kind;
        match bars.iter().position(same) {
            Some(place) => bars[place].2 = bars[place].2.saturating_add(site.traps),
            None if bars.len() < SHOWN => bars.push((&site.function, &site.kind, site.traps)),
            None => others = others.saturating_add(site.traps),
        }
    }
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.2));
    bars.extend((others > 0).then_some(("others", "", others)));
    bars
}

fn height(block: &Block<'_>) -> i32 {
    LANE + 2 + SITE * block.bars.len() as i32 + 8
}

fn draw(c: &mut Canvas<'_>, top: i32, most: u64, block: &Block<'_>) -> Drawn {
    let y = top + LANE / 2;
    c.mark((6, y), block.ink, &[])?;
    c.text((LEFT, y), Side::Right, Ink::Soft, &block.head)?;
    for (bar, i) in block.bars.iter().zip(0..) {
        let (_, _, traps) = *bar;
        let top = top + LANE + 2 + SITE * i;
        words(c, top + LANE / 2, bar)?;
        let share = traps as f64 / most.max(1) as f64;
        let end = LEFT + (f64::from(WIDTH - LEFT) * share).ceil() as i32;
        let corners = [(LEFT, top + LANE), (end, top + LANE + 4)];
        c.bar(corners, block.ink, &[("traps", traps)])?;
    }
    Ok(())
}

/// Function, hypercall where it finds room, and traps.
fn words(c: &mut Canvas<'_>, y: i32, (function, kind, traps): &Bar<'_>) -> Drawn {
    let function = cut(function, FUNCTION);
    c.text((LEFT, y), Side::Right, Ink::Code, &function)?;
    let from = LEFT + ((function.chars().count() as f32 + 1.0) * CODE_PX) as i32;
    // In the page's own font a character is narrower than a function's.
    let room = (NUMBER - from).max(0) as f32 / TEXT_PX;
    if kind.chars().count() as f32 <= room {
        c.text((from, y), Side::Right, Ink::Soft, kind)?;
    }
    c.text((WIDTH, y), Side::Left, Ink::Plain, &short(*traps))
}
