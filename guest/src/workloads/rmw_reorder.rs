//! The last entry of a section is set (B) and taken at once (T): T is immediate, B lands after it.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "rmw_reorder",
    models: "B then T on one entry",
    run,
};

const REORDERED: &str = "B then T on one PTE: the queued write lands last";

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        let last = entries.end - 1;
        w.os.preempt_disable();
        w.measured(|| {
            let token = w.enter(&r, entries.clone(), Enter::Plain)?;
            for i in entries.clone() {
                w.set(&r, i, w.user_ro(i));
                if i == last {
                    w.get_and_clear(&r, i);
                }
            }
            w.leave(token)
        })?;
        w.os.preempt_enable();
        w.os.hazard(&r, last, REORDERED);
        w.os.promised();
    }
    Ok(())
}
