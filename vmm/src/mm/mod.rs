//! Xen's memory rules: which frame is in use as what, and which page-table changes a guest may
//! make. Owns the frame table and the effects a change has on the CPU. Comes in: machine frames
//! and entries, as a guest gave them. Goes out: memory changed and [`Effects`] logged, or a
//! [`Refusal`] and nothing changed.
//!
//! The invariant: a frame is never writable by the guest and a table (or descriptor page) at once.
//! A writable mapping takes a `Writable` reference on its frame, a table or base pointer takes a
//! reference of that table's type, and a frame has one type at a time.
//!
//! The hypervisor holds one lock around all of this. Another vCPU may still run meanwhile, and use
//! translations that are logged for a flush but not flushed yet: nothing that it can write so is
//! validated, and nothing that it can walk so is written, before it has flushed (see `stale`).

mod descriptor;
mod effects;
mod emulate;
mod entry;
mod frame;
mod leaves;
mod page;
mod pending;
mod pin;
mod promote;
pub mod recount;
mod refusal;
mod rules;
mod stale;
mod tree;
mod update;
mod view;
pub mod walk;

pub use effects::{Effects, FLUSH_PAGES, Flush, Store};
pub use frame::FrameType;
pub use refusal::Refusal;
pub use update::{Owner, Update};
pub use view::{Efault, GuestView, array_ok, is_guest};

use frame::FrameTable;
use hypercalls::{Maddr, Mfn, Pte, Vaddr};
use pending::Pending;
use std::ops::Range;

/// The page-typing state of a machine with one guest.
///
/// Live tables are read again when their entries go. Should one have been written to behind the
/// rules' back, by a host that does not flush as it is told, such entries count for nothing and lead
/// nowhere.
#[derive(Debug)]
pub struct Mm {
    frames: FrameTable,
    hv_l4_entry: Pte,
    m2p: Maddr,
    io: Range<Mfn>,
    vcpus: u64,
    effects: Effects,
    /// What a store costs that the host must show to the CPU; `None` if it need not.
    shown: Option<u64>,
    pending: Pending,
    work: u64,
    /// The work counter at which operations are cut short.
    until: u64,
    /// Flushes of every TLB so far.
    epoch: u32,
    /// An operation was put off until the host has flushed.
    awaits_flush: bool,
    refusals: [u64; Refusal::NAMES.len()],
}

impl Mm {
    /// Rules for a machine of `frames` frames, `guest` the guest's. `hv_l4_entry` goes into the
    /// hypervisor's slot of every L4; `m2p` is where the machine-to-physical table begins.
    #[must_use]
    pub fn new(frames: u64, guest: Range<Mfn>, hv_l4_entry: u64, m2p: Maddr) -> Mm {
        Mm {
            frames: FrameTable::new(frames, guest),
            hv_l4_entry: Pte(hv_l4_entry),
            m2p,
            io: Mfn(0)..Mfn(0),
            vcpus: 1,
            effects: Effects::default(),
            shown: Some(0),
            pending: Pending::default(),
            work: 0,
            until: u64::MAX,
            epoch: 1,
            awaits_flush: false,
            refusals: [0; Refusal::NAMES.len()],
        }
    }

    /// Says which vCPUs exist: those that "every vCPU" means in a flush.
    pub fn set_vcpus(&mut self, mask: u64) {
        self.vcpus = mask;
    }

    /// The vCPUs that exist.
    #[must_use]
    pub fn vcpus(&self) -> u64 {
        self.vcpus
    }

    /// Lets L1 entries map these frames beyond memory, and choose the cache mode of those.
    pub fn permit_io(&mut self, frames: Range<Mfn>) {
        self.io = frames;
    }

    /// Whether an L1 entry maps such a frame.
    pub(super) fn is_io(&self, pte: Pte) -> bool {
        self.io.contains(&pte.mfn())
    }

    /// Says what it takes the host to show a store to the CPU, in entries' work, so that it is
    /// allowed for; `None` if the host needs no such stores: none are logged then.
    pub fn show_stores(&mut self, work: Option<u64>) {
        self.shown = work;
    }

    /// What the frame is in use as.
    #[must_use]
    #[inline]
    pub fn type_of(&self, mfn: Mfn) -> FrameType {
        self.frames.kind(mfn)
    }

    /// The frame's references: general, and of its type.
    #[must_use]
    pub fn counts(&self, mfn: Mfn) -> (u32, u32) {
        let frame = self.frames.any(mfn);
        frame.map_or((0, 0), |frame| (frame.general, frame.typed))
    }

    /// Whether the guest may use the frame at all.
    #[must_use]
    #[inline]
    pub fn is_owned(&self, mfn: Mfn) -> bool {
        self.frames.owned(mfn).is_some()
    }

    /// What the hypervisor's slot of every L4 holds.
    #[must_use]
    pub fn hv_l4_entry(&self) -> u64 {
        self.hv_l4_entry.0
    }

    /// The effects in place, for a host that wants to keep the log's memory.
    pub fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// Drops every translation on the vCPUs of `mask`.
    pub fn flush_all(&mut self, mask: u64) {
        self.effects.flush.all(mask & self.vcpus);
    }

    /// Drops one page's translation on the vCPUs of `mask`.
    pub fn flush_page(&mut self, mask: u64, va: Vaddr) {
        self.effects.flush.page(mask & self.vcpus, va);
    }

    /// Entries handled since the start, of about 4 ns each: what bounds a trap. Only differences
    /// matter.
    #[must_use]
    #[inline]
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Counts what took as long as so many entries, and was none.
    #[inline]
    pub fn charge(&mut self, work: u64) {
        self.work += work;
    }

    /// Logs a store for the host to show to the CPU.
    #[inline]
    fn note_store(&mut self, at: Maddr, value: u64) {
        if let Some(work) = self.shown {
            self.work += work;
            self.effects.stores.push(Store { at, value });
        }
    }

    /// Counts a refusal and gives its number for the guest.
    pub fn refuse(&mut self, refusal: Refusal) -> i64 {
        self.refusals[refusal.index()] += 1;
        refusal.errno().to_ret()
    }

    /// How often each reason refused, by name; those that never did are left out.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = Refusal::NAMES.iter().copied().zip(self.refusals);
        counted.filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod random;
#[cfg(test)]
mod typing;
