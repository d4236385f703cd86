//! One workload of the lab under each policy, and the kernels that did the same work below them.

use super::super::axis::{TrapAxis, short};
use super::super::lab::Lab;
use super::super::subject::{Kernel, Line};
use super::canvas::{Canvas, Drawn, Side, WIDTH, chart};
use super::ink::Ink;
use super::{Chart, GUTTER, LANE, cut, named, scale, x};
use crate::report::ResultRow;

/// Between policies and kernels.
const GAP: i32 = 9;

/// The chart of a workload; `lines` are the kernels' with the same work.
pub(in super::super) fn policies(
    (lab, workload): (&Lab<'_>, &str),
    kernels: &[Kernel<'_>],
    lines: &[&Line<'_>],
    axis: TrapAxis,
) -> Chart {
    let first = LANE * lab.policies.len() as i32 + GAP;
    let heights = lines.iter().map(|line| height(kernels, line));
    let bottom = first + heights.sum::<i32>();
    let title = format!("hypercall traps of {workload} under the lab's policies and on kernels");
    chart(bottom + 20, &title, |c| {
        scale(c, axis, 0, bottom)?;
        for (i, policy) in lab.policies.iter().enumerate() {
            let y = LANE * i as i32 + LANE / 2;
            c.text((0, y), Side::Right, Ink::Soft, &cut(policy, 17))?;
            policy_lane(c, y, axis, lab.cell(workload, policy))?;
        }
        let mut top = first;
        for line in lines {
            c.line((0, top - GAP / 2), (WIDTH, top - GAP / 2), Ink::Hair)?;
            group(c, top, axis, kernels, line)?;
            top += height(kernels, line);
        }
        Ok(())
    })
}

/// A lane a kernel, and one for the depth if there is any.
fn height(kernels: &[Kernel<'_>], line: &Line<'_>) -> i32 {
    let depth = i32::from(line.depth > 0);
    LANE * (kernels.len() as i32 + depth) + GAP
}

fn group(
    c: &mut Canvas<'_>,
    top: i32,
    axis: TrapAxis,
    kernels: &[Kernel<'_>],
    line: &Line<'_>,
) -> Drawn {
    let mut y = top + LANE / 2;
    if line.depth > 0 {
        let text = format!("fork depth {}", line.depth);
        c.text((0, y), Side::Right, Ink::Plain, &text)?;
        y += LANE;
    }
    for (k, kernel) in kernels.iter().enumerate() {
        named(c, y, k, &kernel.name)?;
        kernel_lane(c, y, axis, k, line)?;
        y += LANE;
    }
    Ok(())
}

/// A policy's mark; its verdict where the counts are not those of the whole workload.
fn policy_lane(c: &mut Canvas<'_>, y: i32, axis: TrapAxis, row: Option<&ResultRow>) -> Drawn {
    let text = match row {
        Some(row) if row.counted() => {
            c.mark((x(axis, row.traps), y), Ink::Plain, &[("traps", row.traps)])?;
            let at = (x(axis, row.traps) + 9, y);
            return c.text(at, Side::Right, Ink::Plain, &short(row.traps));
        }
        Some(row) => row.verdict.name(),
        None => "no row",
    };
    c.text((GUTTER + 6, y), Side::Right, Ink::Soft, text)
}

fn kernel_lane(c: &mut Canvas<'_>, y: i32, axis: TrapAxis, k: usize, line: &Line<'_>) -> Drawn {
    let Some(row) = line.measured(k) else {
        return c.text((GUTTER + 6, y), Side::Right, Ink::Soft, line.gap(k));
    };
    let traps = row.traps.median;
    let data = [
        ("kernel", k as u64),
        ("depth", line.depth),
        ("traps", traps),
    ];
    c.mark((x(axis, traps), y), Ink::Kernel(k), &data)?;
    c.text(
        (x(axis, traps) + 9, y),
        Side::Right,
        Ink::Plain,
        &short(traps),
    )
}
