//! `stack_switch`, `set_segment_base`: what a context switch of the guest changes.

use super::Answer;
use super::descriptor::base_of;
use crate::domain::Domain;
use hypercalls::segment::*;
use hypercalls::{Errno, Vaddr};

/// The stack for entries from user mode. Any address is taken; a bad one shows when it is used.
pub(super) fn stack_switch(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let v = &mut dom.vcpus[cpu];
    v.kernel_ss = args[0] as u16 | 3;
    v.kernel_sp = Vaddr(args[1]);
    Ok(0)
}

/// FS and GS bases, and the user's GS selector.
pub(super) fn set_segment_base(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let (which, base) = (args[0] as u32, args[1]);
    if which == SEGBASE_GS_USER_SEL {
        let selector = base as u16;
        let base = base_of(dom, cpu, selector).unwrap_or(0);
        let v = &mut dom.vcpus[cpu];
        (v.gs_user_sel, v.gs_base_user, v.segments_dirty) = (selector, base, true);
        return Ok(0);
    }
    if !Vaddr(base).is_canonical() {
        return Err(Errno::EINVAL);
    }
    let v = &mut dom.vcpus[cpu];
    match which {
        SEGBASE_FS => v.fs_base = base,
        SEGBASE_GS_USER => v.gs_base_user = base,
        SEGBASE_GS_KERNEL => v.gs_base_kernel = base,
        _ => return Err(Errno::EINVAL),
    }
    v.segments_dirty = true;
    Ok(0)
}
