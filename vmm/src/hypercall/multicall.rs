//! `multicall`: several hypercalls in one trap. Each entry is copied in once, dispatched, and its
//! result written back into it; a failing entry does not stop the others.

use super::batch::{MAX_REQUESTS, MAX_WORK};
use super::call::POISON;
use super::mmu::Progress;
use super::work;
use crate::mm::{GuestView, Refusal, array_ok};
use hypercalls::multicall::MulticallEntry;
use hypercalls::{Nr, Vaddr};
use std::mem::offset_of;

/// What a multicall needs of the dispatcher.
pub trait Calls {
    /// Why no further entry may run: the vCPU goes elsewhere (`iret`), or stops.
    type Exit;

    /// The guest's memory as its kernel sees it now; an entry may change that.
    fn view(&self) -> GuestView<'_>;

    /// The rules' work counter ([`crate::mm::Mm::work`]).
    fn work(&self) -> u64;

    /// Adds to it ([`crate::mm::Mm::charge`]).
    fn charge(&mut self, work: u64);

    /// Whether the work of this trap is done ([`crate::mm::Mm::is_over`]).
    fn is_over(&self) -> bool {
        false
    }

    /// Counts a refusal and gives its number.
    fn refuse(&mut self, refusal: Refusal) -> i64;

    /// Whether a finished entry keeps nothing but its result.
    fn poisons(&self) -> bool {
        false
    }

    /// One entry: a hypercall other than `multicall`. An unknown number is -ENOSYS.
    ///
    /// # Errors
    /// If the multicall ends here, without a result in this entry.
    fn call(&mut self, op: u64, args: [u64; 6]) -> Result<Progress, Self::Exit>;
}

/// `multicall` (array, count).
///
/// # Errors
/// What the dispatcher says ends it.
pub fn multicall<C: Calls>(calls: &mut C, args: [u64; 6]) -> Result<Progress, C::Exit> {
    let [list, count, ..] = args;
    let (list, count) = (Vaddr(list), count as u32);
    if !array_ok(list, u64::from(count), ENTRY) {
        return Ok(fault(calls, list));
    }
    let start = calls.work();
    for next in 0..count {
        let at = list.add(u64::from(next) * ENTRY);
        let over = calls.work().wrapping_sub(start) >= MAX_WORK || next > 0 && calls.is_over();
        if over || next >= MAX_REQUESTS {
            return Ok(rest(at, count - next));
        }
        calls.charge(work::ENTRY);
        match entry(calls, at)? {
            Entry::Done => {}
            Entry::Again => return Ok(rest(at, count - next)),
            Entry::Fault => return Ok(fault(calls, at)),
        }
    }
    Ok(Progress::Done(0))
}

/// Bytes from one entry to the next.
const ENTRY: u64 = size_of::<MulticallEntry>() as u64;

/// How an entry ended.
enum Entry {
    Done,
    /// Its call was cut short; the entry now holds the arguments to continue it with.
    Again,
    /// It could not be read or written.
    Fault,
}

fn entry<C: Calls>(calls: &mut C, at: Vaddr) -> Result<Entry, C::Exit> {
    let Ok(entry) = calls.view().read_obj::<MulticallEntry>(at) else {
        return Ok(Entry::Fault);
    };
    let progress = if entry.op == Nr::Multicall as u64 {
        Progress::Done(calls.refuse(Refusal::NestedMulticall))
    } else {
        calls.call(entry.op, entry.args)?
    };
    let (written, end) = match progress {
        Progress::Done(result) => (write_result(calls, at, result), Entry::Done),
        Progress::Continue(args) => {
            let entry = MulticallEntry { args, ..entry };
            (calls.view().write_obj(at, &entry).is_ok(), Entry::Again)
        }
    };
    Ok(if written { end } else { Entry::Fault })
}

fn write_result<C: Calls>(calls: &C, at: Vaddr, result: i64) -> bool {
    if calls.poisons() {
        let entry = MulticallEntry {
            op: POISON,
            result,
            args: [POISON; 6],
        };
        return calls.view().write_obj(at, &entry).is_ok();
    }
    let at = at.add(offset_of!(MulticallEntry, result) as u64);
    calls.view().write_obj(at, &result).is_ok()
}

fn rest(at: Vaddr, count: u32) -> Progress {
    Progress::Continue([at.0, count.into(), 0, 0, 0, 0])
}

fn fault<C: Calls>(calls: &mut C, va: Vaddr) -> Progress {
    Progress::Done(calls.refuse(Refusal::BadPointer { va }))
}

#[cfg(test)]
mod truth;
