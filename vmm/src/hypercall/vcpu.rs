//! `vcpu_op`: bringing vCPUs up and down, their timers, where their records are kept.

use super::descriptor::load_gdt;
use super::timer::arm;
use super::{Answer, read, write};
use crate::domain::{Domain, Entry, Periodic, Regs, State, Step};
use crate::hypercall::mmuext::{LDT_ENTRIES, Ldt};
use hypercalls::sched::SHUTDOWN_POWEROFF;
use hypercalls::segment::FIRST_RESERVED_GDT_ENTRY;
use hypercalls::shared_info::VcpuInfo;
use hypercalls::vcpu::*;
use hypercalls::{Errno, Mfn, PAGE_SIZE, Vaddr};

/// The failsafe callback masks upcalls (`VGCF_failsafe_disables_events`).
const VGCF_FAILSAFE_MASKS: u64 = 1 << 3;
/// The syscall callback does (`VGCF_syscall_disables_events`).
const VGCF_SYSCALL_MASKS: u64 = 1 << 4;

/// One operation on vCPU `args[1]`.
pub(super) fn vcpu_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Result<Answer, Step> {
    let target = args[1] as u32 as usize;
    if target >= dom.vcpus.len() {
        return Ok(Err(Errno::ENOENT));
    }
    match args[0] as u32 {
        VCPUOP_DOWN => down(dom, cpu, target),
        command => Ok(operate(dom, cpu, target, command, args[2])),
    }
}

fn operate(dom: &mut Domain, cpu: usize, target: usize, command: u32, arg: u64) -> Answer {
    let own = target == cpu;
    match command {
        VCPUOP_INITIALISE => initialise(dom, cpu, target, arg),
        VCPUOP_UP => up(dom, target),
        VCPUOP_IS_UP => Ok(i64::from(dom.vcpus[target].up)),
        VCPUOP_GET_RUNSTATE_INFO => {
            let info = dom.vcpus[target].runstate.info();
            write(dom, cpu, arg, &info).map(|()| 0)
        }
        VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA => {
            let area = Vaddr(read(dom, cpu, arg)?);
            write(dom, cpu, area.0, &dom.vcpus[target].runstate.info())?;
            dom.vcpus[target].runstate.area = Some(area);
            Ok(0)
        }
        VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA => {
            let area = Vaddr(read(dom, cpu, arg)?);
            let info = dom.vcpus[target].info;
            let record: VcpuInfo = dom.memory.read_obj(info).map_err(|_| Errno::EFAULT)?;
            write(dom, cpu, area.0, &record.time)?;
            dom.vcpus[target].time_area = Some(area);
            Ok(0)
        }
        VCPUOP_REGISTER_VCPU_INFO => register_info(dom, cpu, target, read(dom, cpu, arg)?),
        VCPUOP_SET_PERIODIC_TIMER => {
            let SetPeriodicTimer { period_ns } = read(dom, cpu, arg)?;
            set_periodic(dom, target, period_ns)
        }
        VCPUOP_STOP_PERIODIC_TIMER => {
            dom.vcpus[target].timers.periodic = None;
            Ok(0)
        }
        VCPUOP_SET_SINGLESHOT_TIMER if own => set_singleshot(dom, cpu, read(dom, cpu, arg)?),
        VCPUOP_STOP_SINGLESHOT_TIMER if own => {
            arm(dom, cpu, None);
            Ok(0)
        }
        VCPUOP_SET_SINGLESHOT_TIMER | VCPUOP_STOP_SINGLESHOT_TIMER => Err(Errno::EINVAL),
        _ => Err(Errno::ENOSYS),
    }
}

/// Stops a vCPU; with the last one the domain ends.
fn down(dom: &mut Domain, cpu: usize, target: usize) -> Result<Answer, Step> {
    let others = dom
        .vcpus
        .iter()
        .enumerate()
        .any(|(i, v)| i != target && v.up);
    if !others {
        return Err(Step::Shutdown(SHUTDOWN_POWEROFF));
    }
    dom.vcpus[target].up = false;
    if target == cpu {
        dom.enter_state(cpu, State::Offline);
        return Err(Step::Down);
    }
    dom.kick(target);
    Ok(Ok(0))
}

fn up(dom: &mut Domain, target: usize) -> Answer {
    let v = &mut dom.vcpus[target];
    if !v.initialised {
        return Err(Errno::EINVAL);
    }
    v.up = true;
    dom.kick(target);
    Ok(0)
}

fn set_periodic(dom: &mut Domain, target: usize, period: u64) -> Answer {
    if period < MIN_PERIOD_NS {
        return Err(Errno::EINVAL);
    }
    let next = dom.clock.now().saturating_add(period);
    dom.vcpus[target].timers.periodic = Some(Periodic { period, next });
    dom.kick(target);
    Ok(0)
}

fn set_singleshot(dom: &mut Domain, cpu: usize, asked: SetSingleshotTimer) -> Answer {
    let future = asked.flags & VCPU_SSHOTTMR_FUTURE != 0;
    if future && asked.timeout_abs_ns < dom.clock.now() {
        return Err(Errno::ETIME);
    }
    arm(dom, cpu, Some(asked.timeout_abs_ns));
    Ok(0)
}

/// Moves a `vcpu_info`: copied, and everything marked pending so that nothing is lost on the way.
fn register_info(dom: &mut Domain, cpu: usize, target: usize, asked: RegisterVcpuInfo) -> Answer {
    let offset = u64::from(asked.offset);
    let size = size_of::<VcpuInfo>() as u64;
    let v = &dom.vcpus[target];
    if offset > PAGE_SIZE - size || !offset.is_multiple_of(8) || v.info_registered {
        return Err(Errno::EINVAL);
    }
    if target != cpu && v.up {
        return Err(Errno::EINVAL);
    }
    let old: VcpuInfo = dom.memory.read_obj(v.info).map_err(|_| Errno::EFAULT)?;
    let new = VcpuInfo {
        evtchn_upcall_pending: 1,
        evtchn_pending_sel: u64::MAX,
        ..old
    };
    let frame = Mfn(asked.mfn);
    // The reference is kept for ever: the frame stays memory, never a table.
    let held = dom.mm.get_writable(frame);
    held.map_err(|refusal| refusal.errno())?;
    let at = frame.maddr().add(offset);
    dom.memory.write_obj(at, &new).map_err(|_| Errno::EFAULT)?;
    let v = &mut dom.vcpus[target];
    (v.info, v.info_registered) = (at, true);
    Ok(0)
}

/// Gives a vCPU its first state. Everything is checked before anything is taken; the table and
/// the GDT, which take references, come last.
fn initialise(dom: &mut Domain, cpu: usize, target: usize, arg: u64) -> Answer {
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
