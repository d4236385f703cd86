//! `VCPUOP_initialise`: the state a new vCPU starts from.

use super::descriptor::load_gdt;
use super::mmuext::{LDT_ENTRIES, Ldt};
use super::{Answer, read, work};
use crate::domain::{Domain, Entry, Regs};
use hypercalls::segment::FIRST_RESERVED_GDT_ENTRY;
use hypercalls::vcpu::VcpuGuestContext;
use hypercalls::{Errno, Mfn, PAGE_SIZE, Vaddr};

/// The failsafe callback masks upcalls (`VGCF_failsafe_disables_events`).
const VGCF_FAILSAFE_MASKS: u64 = 1 << 3;
/// The syscall callback does (`VGCF_syscall_disables_events`).
const VGCF_SYSCALL_MASKS: u64 = 1 << 4;

/// Gives a vCPU its first state. Everything is checked before anything is taken; the table and
/// the GDT, which take references, come last.
pub(super) fn initialise(dom: &mut Domain, cpu: usize, target: usize, arg: u64) -> Answer {
    dom.mm.charge(work::CONTEXT);
    let context: Box<VcpuGuestContext> = Box::new(read(dom, cpu, arg)?);
    if dom.vcpus[target].initialised {
        return Err(Errno::EEXIST);
    }
    check(&context)?;
    let root = Mfn(context.ctrlreg[3] >> 12);
    let user = Some(Mfn(context.ctrlreg[1] >> 12)).filter(|&mfn| mfn != Mfn(0));
    let pages = context.gdt_ents.div_ceil(512) as usize;
    let frames = context.gdt_frames[..pages].iter().map(|&mfn| Mfn(mfn));
    let frames: Vec<Mfn> = frames.collect();
    load_gdt(dom, target, &frames, context.gdt_ents as u32)?;
    take_tables(dom, root, user).inspect_err(|_| {
        // Back to no GDT at all, which cannot be refused.
        let _ = load_gdt(dom, target, &[], 0);
    })?;
    let v = &mut dom.vcpus[target];
    (v.kernel_base, v.user_base) = (root, user);
    set_state(dom, target, &context);
    Ok(0)
}

fn check(context: &VcpuGuestContext) -> Result<(), Errno> {
    let addresses = [
        context.user_regs.rip,
        context.event_callback_eip,
        context.failsafe_callback_eip,
        context.syscall_callback_eip,
        context.fs_base,
        context.gs_base_kernel,
        context.gs_base_user,
        context.ldt_base,
    ];
    let handlers = context.trap_ctxt.iter().map(|trap| trap.address);
    let canonical = |va| Vaddr(va).is_canonical();
    let sane = addresses.into_iter().chain(handlers).all(canonical)
        && context.gdt_ents <= u64::from(FIRST_RESERVED_GDT_ENTRY)
        && context.ldt_ents <= LDT_ENTRIES
        && context.ldt_base.is_multiple_of(PAGE_SIZE);
    sane.then_some(()).ok_or(Errno::EINVAL)
}

fn take_tables(dom: &mut Domain, root: Mfn, user: Option<Mfn>) -> Result<(), Errno> {
    let taken = dom.mm.new_baseptr(&dom.memory, None, root);
    taken.map_err(|refusal| refusal.errno())?;
    let Some(user) = user else {
        return Ok(());
    };
    let taken = dom.mm.new_baseptr(&dom.memory, None, user);
    taken.map_err(|refusal| {
        dom.mm.drop_baseptr(&dom.memory, root);
        refusal.errno()
    })
}

fn set_state(dom: &mut Domain, target: usize, context: &VcpuGuestContext) {
    let entry = |address: u64, masks_events| {
        let address = Vaddr(address);
        (address.0 != 0).then_some(Entry {
            address,
            masks_events,
        })
    };
    let has = |flag| context.flags & flag != 0;
    let v = &mut dom.vcpus[target];
    *v.traps = context.trap_ctxt;
    v.callbacks.event = entry(context.event_callback_eip, true);
    v.callbacks.failsafe = entry(context.failsafe_callback_eip, has(VGCF_FAILSAFE_MASKS));
    v.callbacks.syscall = entry(context.syscall_callback_eip, has(VGCF_SYSCALL_MASKS));
    v.kernel_ss = context.kernel_ss as u16 | 3;
    v.kernel_sp = Vaddr(context.kernel_sp);
    v.fs_base = context.fs_base;
    v.gs_base_kernel = context.gs_base_kernel;
    v.gs_base_user = context.gs_base_user;
    v.ldt = Ldt {
        base: Vaddr(context.ldt_base),
        entries: context.ldt_ents as u32,
    };
    v.start = Some(Regs::from_context(&context.user_regs));
    v.kernel_mode = true;
    v.segments_dirty = true;
    v.initialised = true;
}
