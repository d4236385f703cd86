//! A section without a lock is taken off its CPU after 100 entries and goes on on another one:
//! whatever it left in the first one's queue is stranded. The first CPU waits meanwhile.

use super::WorkloadInfo;
use super::switch::point;
use crate::frames::PER_TABLE;
use crate::kernel::Os;
use crate::region::{Place, Region};
use crate::work::{Done, Enter, Stop, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "migrate_cpu",
    models: "a section preempted on one vCPU and resumed on the other",
    run,
};

const ELSEWHERE: usize = 1;

fn run(w: &Work<'_>) -> Done {
    if w.os.machine.cpus() < 2 {
        return Err(Stop::Skip("needs two vCPUs"));
    }
    w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    let task =
        w.os.fork(3, traveller, 0)
            .ok_or(Stop::Error("no free task"))?;
    w.os.wake(task);
    w.os.schedule();
    if !w.os.core.verdict.is_stopped() {
        w.os.machine.run_on(ELSEWHERE, task);
    }
    Ok(())
}

/// One section over the first table, two CPUs.
fn traveller(os: Os<'_>, _: usize) {
    let w = Work::new(os);
    let done = w.built(Place::Kernel).and_then(|r| section(&w, &r));
    os.core.verdict.stopped(done);
}

fn section(w: &Work<'_>, r: &Region) -> Done {
    let entries = 0..w.ptes.min(PER_TABLE);
    let at = point(&entries);
    w.section(r, entries.clone(), Enter::Plain, || {
        (entries.start..at).for_each(|i| w.set(r, i, w.kernel(i)));
        if !w.os.leave_cpu() {
            return Err(Stop::Skip(
                "this machine cannot resume a task on another CPU",
            ));
        }
        w.os.promised();
        (at..entries.end).for_each(|i| w.set(r, i, w.kernel(i)));
        Ok(())
    })
}
