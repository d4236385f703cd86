//! An array of requests in the guest's memory, handled in order up to the first that fails: what
//! `mmu_update` and `mmuext_op` have in common. Each request is copied in once. A long array is
//! cut short and continued by executing the hypercall again, so that no call holds the vCPU long.

use super::mmu::{Mmu, Progress};
use crate::mm::{Refusal, array_ok};
use hypercalls::Vaddr;
use hypercalls::mmu::MMU_UPDATE_PREEMPTED;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Requests handled before the call is continued.
pub(super) const MAX_REQUESTS: u32 = 4096;
/// Work done before the call is continued, or an exception taken again: entries of tables, and what
/// is charged for the rest ([`super::work`]). About a millisecond.
pub(crate) const MAX_WORK: u64 = 1 << 18;
/// Requests copied in at once, at most.
const CHUNK: usize = 32;

/// A request's layout.
pub(super) trait Request: FromBytes + IntoBytes + Immutable + Copy {
    /// How many may be copied in before the first of them is handled.
    const AHEAD: usize;
    /// What one takes beside the entries it handles.
    const WORK: u64;
}

/// The arguments of such a call.
pub(super) struct Batch {
    at: Vaddr,
    count: u32,
    done_at: Vaddr,
    done: u32,
    foreign: u64,
}

impl Batch {
    /// Checks the array's range; a continued call goes on counting where it was cut.
    pub(super) fn open<T: Request>(mmu: &Mmu<'_>, args: [u64; 6]) -> Result<Batch, Refusal> {
        let [at, count, done_at, foreign, ..] = args;
        let (at, done_at, mut count) = (Vaddr(at), Vaddr(done_at), count as u32);
        let mut done = 0;
        if count & MMU_UPDATE_PREEMPTED != 0 {
            count &= !MMU_UPDATE_PREEMPTED;
            done = mmu.view().read_obj(done_at).unwrap_or(0);
        }
        if !array_ok(at, u64::from(count), size_of::<T>() as u64) {
            return Err(Refusal::BadPointer { va: at });
        }
        Ok(Batch {
            at,
            count,
            done_at,
            done,
            foreign,
        })
    }

    /// Handles the requests in order, up to the first that fails, and tells the guest how many.
    pub(super) fn run<T: Request>(
        &self,
        mmu: &mut Mmu<'_>,
        mut handle: impl FnMut(&mut Mmu<'_>, T) -> Result<(), Refusal>,
    ) -> Progress {
        let start = mmu.mm.work();
        let mut chunk = [T::new_zeroed(); CHUNK];
        let mut next = 0;
        while next < self.count {
            let worked = mmu.mm.work().wrapping_sub(start);
            let over = worked >= MAX_WORK || next > 0 && mmu.mm.is_over();
            if over || next >= MAX_REQUESTS {
                return self.cut::<T>(mmu, next);
            }
            let handled = self
                .fetch(mmu, next, &mut chunk)
                .and_then(|ahead| each(mmu, &chunk[..ahead], &mut next, &mut handle));
            match handled {
                Ok(()) => {}
                Err(Refusal::Unfinished) => return self.cut::<T>(mmu, next),
                Err(refusal) => {
                    self.report(mmu, next);
                    return Progress::Done(mmu.mm.refuse(refusal));
                }
            }
        }
        self.report(mmu, next);
        Progress::Done(0)
    }

    /// Adds `handled` to the guest's count. A pointer that cannot be written is the guest's loss.
    pub(super) fn report(&self, mmu: &Mmu<'_>, handled: u32) {
        if self.done_at != Vaddr(0) {
            let done = self.done.wrapping_add(handled);
            let _lost = mmu.view().write_obj(self.done_at, &done);
        }
    }

    /// Copies in the requests from `next` on, as many as lie in one page; how many.
    fn fetch<T: Request>(
        &self,
        mmu: &Mmu<'_>,
        next: u32,
        chunk: &mut [T; CHUNK],
    ) -> Result<usize, Refusal> {
        let size = size_of::<T>();
        let at = self.at.add(u64::from(next) * size as u64);
        let in_page = (hypercalls::PAGE_SIZE - at.offset()) as usize / size;
        let left = (self.count - next) as usize;
        let ahead = in_page.clamp(1, T::AHEAD.min(CHUNK)).min(left);
        mmu.view().copy_in(at, chunk[..ahead].as_mut_bytes())?;
        Ok(ahead)
    }

    /// Ends here for now: the same call for what is left.
    fn cut<T: Request>(&self, mmu: &Mmu<'_>, next: u32) -> Progress {
        self.report(mmu, next);
        let at = self.at.add(u64::from(next) * size_of::<T>() as u64);
        let count = u64::from((self.count - next) | MMU_UPDATE_PREEMPTED);
        Progress::Continue([at.0, count, self.done_at.0, self.foreign, 0, 0])
    }
}

/// Handles `requests`, counting those that succeed in `next`.
fn each<T: Request>(
    mmu: &mut Mmu<'_>,
    requests: &[T],
    next: &mut u32,
    handle: &mut impl FnMut(&mut Mmu<'_>, T) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for &request in requests {
        if !mmu.mm.settle(mmu.mem) {
            return Err(Refusal::Unfinished);
        }
        mmu.mm.charge(T::WORK);
        handle(mmu, request)?;
        *next += 1;
    }
    Ok(())
}
