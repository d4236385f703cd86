//! Selector loads: the real CPU looks them up in the host's tables, where the guest's selectors
//! are not. They are looked up in the guest's own and kept beside the registers.

use crate::domain::{Domain, Regs};
use crate::hypercall::{base_of, descriptor_of};
use hypercalls::trap::{FLAT_DS, FLAT_KERNEL_CS, FLAT_USER_CS32};
use iced_x86::Register;

/// Loads `selector` into a segment register; `None` if the guest has no such segment.
pub(super) fn load(
    dom: &mut Domain,
    cpu: usize,
    regs: &mut Regs,
    segment: Register,
    selector: u16,
) -> Option<()> {
    let base = base(dom, cpu, selector)?;
    let v = &mut dom.vcpus[cpu];
    match segment {
        Register::DS => regs.ds = selector,
        Register::ES => regs.es = selector,
        Register::SS => regs.ss = selector | 3,
        Register::FS => (regs.fs, v.fs_base) = (selector, base),
        Register::GS => {
            regs.gs = selector;
            if !v.kernel_mode {
                v.gs_user_sel = selector;
            }
            let fs_base = v.fs_base;
            v.observe_bases(fs_base, base);
        }
        _ => return None,
    }
    v.segments_dirty = true;
    Some(())
}

fn base(dom: &Domain, cpu: usize, selector: u16) -> Option<u64> {
    match selector | 3 {
        3 | FLAT_DS | FLAT_KERNEL_CS | FLAT_USER_CS32 => Some(0),
        _ => {
            descriptor_of(dom, cpu, selector)?;
            base_of(dom, cpu, selector)
        }
    }
}
