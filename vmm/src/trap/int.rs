//! `int n`: allowed if the guest's trap table says so, otherwise a #GP.

use super::{Fate, Fault};
use crate::domain::{Domain, Regs};
use hypercalls::Vaddr;
use hypercalls::trap::GP;

/// Bytes of `int n`.
const LEN: u64 = 2;
/// #GP error code: it names an IDT entry.
const IDT: u64 = 1 << 1;
/// #GP error code: the low three bits say what the rest names.
const KIND: u64 = 7;

/// The number of the `int n` a #GP's error code tells of.
pub(super) fn of_error(error: u64) -> Option<u8> {
    let number = u8::try_from(error >> 3).ok()?;
    (error & KIND == IDT).then_some(number)
}

/// Delivers vector `number` behind the instruction if the caller may, or #GP at it.
pub(super) fn software(dom: &Domain, cpu: usize, regs: &mut Regs, number: u8) -> Fate {
    let v = &dom.vcpus[cpu];
    let info = v.traps[usize::from(number)];
    // A guest kernel counts as privilege 1.
    let privilege = if v.kernel_mode { 1 } else { 3 };
    if info.address == 0 || info.dpl() < privilege {
        return Fate::Guest(Fault {
            vector: GP,
            error: u64::from(number) << 3 | IDT,
            cr2: Vaddr(0),
        });
    }
    regs.rip = regs.rip.wrapping_add(LEN);
    Fate::Guest(Fault {
        vector: number,
        error: 0,
        cr2: Vaddr(0),
    })
}
