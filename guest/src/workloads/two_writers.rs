//! Two CPUs write halves of one table, each in a section of its own: neither flushes what the other
//! has queued. The second's section lies within the first's, whose writes wait meanwhile: sections
//! overlap, writes do not, as one CPU runs at a time.

use super::WorkloadInfo;
use crate::frames::PER_TABLE;
use crate::kernel::Os;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Stop, Work, middle};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "two_writers",
    models: "two vCPUs write one table, each in a section of its own",
    run,
};

const OTHER: usize = 1;

fn run(w: &Work<'_>) -> Done {
    if w.os.machine.cpus() < 2 {
        return Err(Stop::Skip("needs two vCPUs"));
    }
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    let task = w.os.fork(3, writer, 0).ok_or(Stop::Error("no free task"))?;
    let entries = 0..w.ptes.min(PER_TABLE);
    let half = middle(&entries);
    w.section(&r, entries, Enter::Plain, || {
        (0..half).for_each(|i| w.set(&r, i, w.kernel(i)));
        let queued = w.os.cpu().queue.borrow().updates();
        w.os.machine.run_on(OTHER, task);
        let left = w.os.cpu().queue.borrow().updates();
        if left != queued {
            w.os.violated(format_args!("the other CPU changed this one's queue"));
        }
        Ok(())
    })
}

/// The second half, in a section on the other CPU; measured with the first one's.
fn writer(os: Os<'_>, _: usize) {
    let w = Work::new(os);
    let done = w.built(Place::Kernel).and_then(|r| second_half(&w, &r));
    os.core.verdict.stopped(done);
}

fn second_half(w: &Work<'_>, r: &Region) -> Done {
    let entries = 0..w.ptes.min(PER_TABLE);
    let half = middle(&entries)..entries.end;
    let token = w.enter(r, half.clone(), Enter::Plain)?;
    half.clone()
        .for_each(|i| w.set_unwatched(r, i, w.kernel(i)));
    w.leave(token)?;
    half.for_each(|i| w.os.compare(r, i));
    Ok(())
}
