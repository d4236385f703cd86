//! Pages of segment descriptors: a GDT or LDT page in use is typed, so the guest cannot write it,
//! and holds only descriptors that cannot reach the hypervisor: their privilege is forced to 3.

use super::frame::FrameType;
use super::promote::copy_table;
use super::{Mm, Refusal};
use crate::memory::Memory;
use hypercalls::{Maddr, Mfn, Pte};

/// Descriptor bits (Intel SDM vol. 3 §3.4.5): type, S (code or data), DPL, P.
const TYPE: u64 = 0xf << 40;
const CODE_OR_DATA: u64 = 1 << 44;
const DPL: u64 = 3 << 45;
const PRESENT: u64 = 1 << 47;

/// The descriptor that is stored when the guest asks for `value`. Ones that are not present are
/// harmless, and so is type 0; code and data get privilege 3; gates and TSSs are refused.
fn checked(value: u64) -> Result<u64, Refusal> {
    if value & PRESENT == 0 {
        Ok(value)
    } else if value & CODE_OR_DATA != 0 || value & TYPE == 0 {
        Ok(value | DPL)
    } else {
        Err(Refusal::BadDescriptor { value })
    }
}

impl Mm {
    /// Holds a frame as a page of descriptors, validating it if it is not one yet.
    ///
    /// # Errors
    /// If it is not the guest's, in use as something else, or holds a refused descriptor.
    pub fn get_seg_desc(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        let wanted = FrameType::SegDesc;
        let frame = self.frames.owned_mut(mfn);
        let frame = frame.ok_or(Refusal::BadFrame { mfn })?;
        let has = frame.kind;
        if has != FrameType::None && has != wanted {
            return Err(Refusal::WrongType { mfn, has, wanted });
        }
        frame.hold(mfn)?;
        frame.typed = frame.typed.saturating_add(1);
        frame.kind = wanted;
        if has == wanted {
            return Ok(());
        }
        self.check_page(mem, mfn).inspect_err(|_| self.unmake(mfn))
    }

    /// Drops what [`Mm::get_seg_desc`] took.
    pub fn put_seg_desc(&mut self, mfn: Mfn) {
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release_typed(FrameType::SegDesc);
        }
    }

    /// Writes one descriptor, to a page of descriptors or to plain memory (`update_descriptor`).
    ///
    /// # Errors
    /// If the address is not 8-byte aligned or not such memory, or the descriptor is refused.
    pub fn set_descriptor(&mut self, mem: &Memory, at: Maddr, value: u64) -> Result<(), Refusal> {
        if !at.0.is_multiple_of(8) {
            return Err(Refusal::Unaligned { at });
        }
        let value = checked(value)?;
        let mfn = at.mfn();
        let frame = self.frames.owned(mfn).ok_or(Refusal::BadTarget { at })?;
        match frame.kind {
            FrameType::None | FrameType::Writable | FrameType::SegDesc => {}
            has => return Err(Refusal::TargetInUse { mfn, has }),
        }
        let old = Pte(mem.read_u64(at)?);
        self.store(mem, at, old, Pte(value))
    }

    fn check_page(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        let descriptors = copy_table(mem, mfn)?;
        for value in descriptors {
            checked(value)?;
        }
        self.flush_stale(mfn);
        for (slot, &value) in descriptors.iter().enumerate() {
            let stored = checked(value)?;
            if stored != value {
                self.store(mem, mfn.entry(slot), Pte(value), Pte(stored))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privilege_is_forced_and_system_segments_refused() {
        let kernel_code = 0x00af_9b00_0000_ffff;
        assert_eq!(checked(kernel_code), Ok(0x00af_fb00_0000_ffff));
        assert_eq!(checked(0), Ok(0));
        let (tss, call_gate) = (0x0000_8900_0000_0067, 0x0000_ec00_0008_0000);
        assert!(checked(tss).is_err() && checked(call_gate).is_err());
        assert_eq!(checked(tss & !PRESENT), Ok(tss & !PRESENT));
    }
}
