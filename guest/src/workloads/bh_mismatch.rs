//! The section is closed with bottom halves off: `in_interrupt()` is true there, so disable is
//! ignored and the task stays lazy.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;
use hypercalls::lab::Cause;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "bh_mismatch",
    models: "opened with bottom halves on, closed with them off",
    run,
};

const LEAK: &str = "disable ignored with BH off: the task stays lazy";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    let bh = &w.os.task(w.os.current()).bh;
    for entries in w.tables() {
        w.measured(|| {
            let token = w.enter(&r, entries.clone(), Enter::Plain)?;
            entries.clone().for_each(|i| w.set(&r, i, w.kernel(i)));
            bh.set(bh.get() + 1);
            let done = w.leave(token);
            bh.set(bh.get() - 1);
            done
        })?;
        entries.for_each(|i| w.stale(&r, i, LEAK));
        // Nobody else will, before the next context switch.
        w.os.flush(Cause::Kernel);
        w.os.promised();
    }
    Ok(())
}
