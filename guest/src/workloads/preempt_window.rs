//! The timer fires between the change of the counter and the architecture's hook, in enable and in
//! disable: 7.0 died of it (291b3abed657, 4594437880ce).

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "preempt_window",
    models: "preempted between the count and the hook of enable and disable",
    run,
};

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    for entries in w.tables() {
        arm(w)?;
        w.section(&r, entries.clone(), Enter::Plain, || {
            disarm(w);
            w.alive()?;
            entries.for_each(|i| w.set(&r, i, w.kernel(i)));
            arm(w)
        })?;
        disarm(w);
        w.alive()?;
    }
    Ok(())
}

/// The next window gets a timer interrupt.
fn arm(w: &Work<'_>) -> Done {
    let by = w.preemptor()?;
    w.os.wake(by);
    w.os.core.oracle.window_armed.set(true);
    w.os.core.window.set(1);
    Ok(())
}

/// A policy without windows has not fired: let the other task run here.
fn disarm(w: &Work<'_>) {
    if w.os.core.oracle.window_armed.take() {
        w.os.core.window.set(0);
        w.os.machine.timer_now();
    }
}
