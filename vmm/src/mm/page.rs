//! Plain frames: writable references the hypervisor itself holds, frames it shares with the guest,
//! whole-page clears and copies, and the machine-to-physical table.

use super::frame::{FrameFlags, FrameType};
use super::promote::{Entries, copy_table};
use super::{Mm, Refusal};
use crate::memory::Memory;
use hypercalls::Mfn;
use hypercalls::pte::ENTRIES;

impl Mm {
    /// Lets the guest map a frame of the hypervisor's, read-only or writable, for good. It can
    /// never become a table.
    ///
    /// # Errors
    /// If there is no such frame or it is in use as something else.
    pub fn share(&mut self, mfn: Mfn) -> Result<(), Refusal> {
        let frame = self.frames.any_mut(mfn);
        let frame = frame.ok_or(Refusal::BadFrame { mfn })?;
        frame.hold_writable(mfn)?;
        frame.flags |= FrameFlags::SHARED;
        Ok(())
    }

    /// Holds a frame as writable memory: the hypervisor will write to it on its own account.
    ///
    /// # Errors
    /// If it is not the guest's, or in use as something else.
    pub fn get_writable(&mut self, mfn: Mfn) -> Result<(), Refusal> {
        self.forget(mfn, FrameType::Writable)?;
        let frame = self.frames.owned_mut(mfn);
        frame.ok_or(Refusal::BadFrame { mfn })?.hold_writable(mfn)
    }

    /// Drops what [`Mm::get_writable`] took.
    pub fn put_writable(&mut self, mfn: Mfn) {
        let epoch = self.epoch;
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release_typed(FrameType::Writable, epoch);
        }
    }

    /// Fills a plain frame with zeroes.
    ///
    /// # Errors
    /// If it is not the guest's plain memory.
    pub fn clear_page(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        self.fill_page(mem, mfn, &[0; ENTRIES])
    }

    /// Copies a frame, of any type, to a plain one.
    ///
    /// # Errors
    /// If either is not the guest's, or `to` not plain memory.
    pub fn copy_page(&mut self, mem: &Memory, to: Mfn, from: Mfn) -> Result<(), Refusal> {
        if !self.is_owned(from) {
            return Err(Refusal::BadFrame { mfn: from });
        }
        let words = copy_table(mem, from)?;
        self.fill_page(mem, to, &words)
    }

    /// Sets the machine-to-physical entry of a frame of the guest's.
    ///
    /// # Errors
    /// If it is not the guest's.
    pub fn machphys(&mut self, mem: &Memory, mfn: Mfn, pfn: u64) -> Result<(), Refusal> {
        self.work += 1;
        if !self.is_owned(mfn) {
            return Err(Refusal::BadFrame { mfn });
        }
        mem.write_u64(self.m2p.add(mfn.0 * 8), pfn)?;
        Ok(())
    }

    fn fill_page(&mut self, mem: &Memory, mfn: Mfn, words: &Entries) -> Result<(), Refusal> {
        self.work += ENTRIES as u64;
        let frame = self.frames.owned(mfn).ok_or(Refusal::BadFrame { mfn })?;
        match frame.kind {
            FrameType::None | FrameType::Writable => {}
            has => return Err(Refusal::TargetInUse { mfn, has }),
        }
        self.forget(mfn, FrameType::Writable)?;
        self.store_table(mem, mfn, words)
    }
}
