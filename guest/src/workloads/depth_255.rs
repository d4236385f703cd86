//! 256 sections within each other: the 256th enable wraps the count to 0 without a hook, the first
//! disable wraps it back.

use super::WorkloadInfo;
use crate::mmu::Token;
use crate::region::{Place, Region};
use crate::work::{Done, Work};
use core::ops::Range;
use hypercalls::Pte;

/// As listed.
pub(super) const INFO: WorkloadInfo = WorkloadInfo {
    name: "depth_255",
    models: "256 nested sections: enable at 255 wraps",
    run,
};

const DEPTH: usize = 256;

fn run(w: &Work<'_>) -> Done {
    let r = w.region(Place::Kernel, &|_| Pte::EMPTY)?;
    w.tables().try_for_each(|entries| table(w, &r, entries))
}

fn table(w: &Work<'_>, r: &Region, entries: Range<usize>) -> Done {
    w.measured(|| {
        let mut tokens = [Token::Default; DEPTH];
        for token in &mut tokens {
            *token = w.os.lazy_mmu_mode_enable()?;
        }
        entries.for_each(|i| w.set(r, i, w.kernel(i)));
        for token in tokens.into_iter().rev() {
            w.os.lazy_mmu_mode_disable(token)?;
        }
        Ok(())
    })?;
    w.os.promised();
    Ok(())
}
