//! Pages of segment descriptors: a page of a GDT in use is typed, so the guest cannot write it, and
//! holds only descriptors that cannot reach the hypervisor: their privilege is forced to 3. No CPU
//! loads them; a guest is answered as on Xen. An LDT's pages are not typed (`hypercall::mmuext::Ldt`).

use super::frame::FrameType;
use super::promote::copy_table;
use super::{Mm, Refusal};
use crate::memory::Memory;
use hypercalls::segment::FIRST_RESERVED_GDT_ENTRY;
use hypercalls::trap::FLAT_KERNEL_CS;
use hypercalls::{Maddr, Mfn, Pte};

/// Descriptor bits (Intel SDM vol. 3 §3.4.5): type, S (code or data), DPL, P.
const TYPE: u64 = 0xf << 40;
const CODE_OR_DATA: u64 = 1 << 44;
const DPL: u64 = 3 << 45;
const PRESENT: u64 = 1 << 47;
/// The type of a call gate, its target selector and its reserved bits (§5.8.3.1).
const CALL_GATE: u64 = 0xc << 40;
const SELECTOR_SHIFT: u32 = 16;
const GATE_RESERVED: u64 = 0xff << 32;

/// The descriptor that is stored when the guest asks for `value`. Ones that are not present are
/// harmless, and so is type 0; code and data get privilege 3; a call gate gets privilege 0, so
/// that its use is a fault, and its target RPL 3; every other gate and TSSs are refused.
fn checked(value: u64) -> Result<u64, Refusal> {
    let refused = Err(Refusal::BadDescriptor { value });
    if value & PRESENT == 0 {
        return Ok(value);
    }
    match value & (CODE_OR_DATA | TYPE) {
        bits if bits & CODE_OR_DATA != 0 => Ok(value | DPL),
        0 => Ok(value),
        CALL_GATE if value & GATE_RESERVED == 0 && is_guest_code(value) => {
            Ok(value & !DPL | 3 << SELECTOR_SHIFT)
        }
        _ => refused,
    }
}

/// Whether a gate's target lies in the guest's part of the GDT, in its LDT, or is the flat code
/// segment that the hypervisor gives the guest's kernel.
fn is_guest_code(gate: u64) -> bool {
    let selector = (gate >> SELECTOR_SHIFT) as u16;
    let in_ldt = selector & 4 != 0;
    in_ldt || u32::from(selector >> 3) < FIRST_RESERVED_GDT_ENTRY || selector == FLAT_KERNEL_CS
}

impl Mm {
    /// Holds a frame as a page of descriptors, validating it if it is not one yet.
    ///
    /// # Errors
    /// If it is not the guest's, in use as something else, or holds a refused descriptor.
    pub fn get_seg_desc(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        let wanted = FrameType::SegDesc;
        if self.hold_as(mfn, wanted)? == wanted {
            return Ok(());
        }
        self.check_page(mem, mfn).inspect_err(|_| self.unmake(mfn))
    }

    /// Drops what [`Mm::get_seg_desc`] took.
    pub fn put_seg_desc(&mut self, mfn: Mfn) {
        let epoch = self.epoch;
        if let Some(frame) = self.frames.owned_mut(mfn) {
            frame.release_typed(FrameType::SegDesc, epoch);
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
        self.forget(mfn, FrameType::Writable)?;
        let old = Pte(mem.read_u64(at)?);
        self.store(mem, at, old, Pte(value))
    }

    fn check_page(&mut self, mem: &Memory, mfn: Mfn) -> Result<(), Refusal> {
        let descriptors = copy_table(mem, mfn)?;
        for value in descriptors {
            checked(value)?;
        }
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
        let (tss, interrupt_gate) = (0x0000_8900_0000_0067, 0x0000_8e00_0008_0000);
        assert!(checked(tss).is_err() && checked(interrupt_gate).is_err());
        assert_eq!(checked(tss & !PRESENT), Ok(tss & !PRESENT));
        assert_eq!(checked(PRESENT), Ok(PRESENT));
    }

    #[test]
    fn call_gates_are_kept_unusable() {
        let gate = |selector: u64| 0x0000_ec00_0000_0000 | selector << SELECTOR_SHIFT;
        for (selector, stored) in [
            (8, 0xb),
            (0xe033, 0xe033),
            (0xdff8, 0xdffb),
            (0xf00d, 0xf00f),
        ] {
            assert_eq!(
                checked(gate(selector)),
                Ok(gate(stored) & !DPL),
                "{selector:#x}"
            );
        }
        assert!(checked(gate(0xe008)).is_err() && checked(gate(8) | 1 << 32).is_err());
    }
}
