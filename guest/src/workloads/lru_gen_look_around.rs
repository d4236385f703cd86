//! `lru_gen_look_around`: the 64 pages around one are aged in place (T), whatever the section could
//! hold.

use super::WorkloadInfo;
use crate::region::Place;
use crate::work::{Done, Enter, Work};

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "lru_gen_look_around",
    models: "lru_gen_look_around: T on 64 pages",
    run,
};

const AROUND: usize = 64;

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::User, &|i| w.user(i))?;
    for entries in w.tables() {
        let end = entries.end.min(entries.start + AROUND);
        w.locked_section(&r, entries.start..end, Enter::Plain, || {
            (entries.start..end).for_each(|i| w.make_old(&r, i));
            Ok(())
        })?;
    }
    Ok(())
}
