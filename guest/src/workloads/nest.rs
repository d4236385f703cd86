//! A section that calls something with a section of its own: half the entries, 8 in the inner
//! section (fewer if there are fewer), the rest.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work, middle};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "nest",
    models: "a section with an inner one of 8 entries in its middle",
    run,
};

const INNER: usize = 8;

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    let set = |i| w.set(&r, i, w.user_ro(i));
    for entries in w.tables() {
        let (from, end) = (middle(&entries), entries.end);
        let to = end.min(from + INNER);
        w.locked_section(&r, entries.clone(), Enter::Plain, || {
            (entries.start..from).for_each(set);
            let inner = w.os.lazy_mmu_mode_enable()?;
            (from..to).for_each(set);
            w.os.lazy_mmu_mode_disable(inner)?;
            w.os.promised();
            (to..end).for_each(set);
            Ok(())
        })?;
    }
    Ok(())
}
