//! How full the batches of one line are: a strip a kernel, in it a bar a batch size. A bar's
//! height is its share of the line's updates, the number above it the traps that carried them.

use super::super::axis::short;
use super::super::subject::{Kernel, Line};
use super::canvas::{Canvas, Drawn, Side, WIDTH, chart};
use super::ink::Ink;
use super::{Chart, GUTTER, LANE, named};
use crate::report::measure::OperationRow;
use std::collections::BTreeMap;

/// Classes of batch sizes by their least, and their names. Linux's buffer holds 31 updates.
const CLASSES: [(u64, &str); 8] = [
    (1, "1"),
    (2, "2+"),
    (4, "4+"),
    (8, "8+"),
    (16, "16+"),
    (31, "31"),
    (32, "32+"),
    (512, "512+"),
];
/// Up to and with 31 they are always shown.
const USUAL: usize = 6;
/// The tallest bar.
const BAR: i32 = 22;
/// A strip: a number, a bar, a gap.
const STRIP: i32 = LANE + BAR + 5;

/// Traps and updates by class.
type Classes = BTreeMap<usize, (u64, u64)>;

/// The chart of a line.
pub(in super::super) fn batches(kernels: &[Kernel<'_>], line: &Line<'_>) -> Chart {
    let same = line.agreed(|row| &row.batch_sizes).is_some();
    let strips = if same { 1 } else { kernels.len() };
    let classes = line.all_measured().map(|(_, row)| last(row) + 1);
    let columns = classes.max().unwrap_or(0).max(USUAL);
    let bottom = STRIP * strips as i32;
    let title = format!("batch sizes of {}, by kernel", line.label());
    chart(bottom + 20, &title, |c| {
        for k in 0..strips {
            let foot = STRIP * (k as i32 + 1);
            let ink = if same { Ink::Plain } else { Ink::Kernel(k) };
            match kernels.get(k).filter(|_| !same) {
                Some(kernel) => named(c, foot - 6, k, &kernel.name)?,
                None => c.text((0, foot - 6), Side::Right, Ink::Soft, "all kernels")?,
            }
            c.line((GUTTER, foot), (WIDTH, foot), Ink::Hair)?;
            match line.measured(k) {
                Some(row) => strip(c, foot, columns, ink, row)?,
                None => c.text((GUTTER, foot - 6), Side::Right, Ink::Soft, line.gap(k))?,
            }
        }
        for (column, (_, name)) in CLASSES.iter().take(columns).enumerate() {
            c.text(
                (middle(column, columns), bottom + 9),
                Side::Both,
                Ink::Soft,
                name,
            )?;
        }
        Ok(())
    })
}

fn strip(c: &mut Canvas<'_>, foot: i32, columns: usize, ink: Ink, row: &OperationRow) -> Drawn {
    let classes = classes(row);
    let all = classes
        .values()
        .fold(0u64, |sum, (_, updates)| sum.saturating_add(*updates));
    for (class, (traps, updates)) in classes {
        let share = updates as f64 / all.max(1) as f64;
        let height = (f64::from(BAR) * share).ceil() as i32;
        let (x, half) = (middle(class, columns), width(columns) / 2 - 3);
        let data = [
            ("class", CLASSES[class].0),
            ("traps", traps),
            ("updates", updates),
        ];
        c.bar([(x - half, foot - height), (x + half, foot)], ink, &data)?;
        c.text(
            (x, foot - height - 7),
            Side::Both,
            Ink::Plain,
            &short(traps),
        )?;
    }
    Ok(())
}

fn width(columns: usize) -> i32 {
    (WIDTH - GUTTER) / columns.max(1) as i32
}

fn middle(column: usize, columns: usize) -> i32 {
    GUTTER + width(columns) * column as i32 + width(columns) / 2
}

/// The class of a batch size; none carried nothing, and has none.
fn class(size: u64) -> Option<usize> {
    CLASSES.iter().rposition(|(least, _)| size >= *least)
}

fn last(row: &OperationRow) -> usize {
    row.batch_sizes
        .keys()
        .filter_map(|size| class(*size))
        .max()
        .unwrap_or(0)
}

fn classes(row: &OperationRow) -> Classes {
    let mut classes = Classes::new();
    for (size, calls) in &row.batch_sizes {
        if let Some(class) = class(*size) {
            let (traps, updates): &mut (u64, u64) = classes.entry(class).or_default();
            *traps = traps.saturating_add(*calls);
            *updates = updates.saturating_add(size.saturating_mul(*calls));
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_has_a_class_of_its_own() {
        let names = [1, 2, 3, 30, 31, 32, 511, 512].map(|n| class(n).map(|c| CLASSES[c].1));
        let names: Vec<&str> = names.into_iter().flatten().collect();
        assert_eq!(names, ["1", "2+", "2+", "16+", "31", "32+", "32+", "512+"]);
        assert_eq!(class(0), None);
    }
}
