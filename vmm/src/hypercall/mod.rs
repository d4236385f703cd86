//! Dispatch: THE one match from a hypercall's number to what answers it.
//!
//! Comes in: number and arguments, whatever a guest put there. Goes out: the result for rax, or a
//! [`Step`] where the call does not simply return. Counting happens here and nowhere else: a trap
//! once, with the page-table updates it carried, however many calls a multicall holds.

mod batch;
mod call;
mod callback;
mod console;
mod debug;
mod descriptor;
mod event;
mod grant_table;
mod initialise;
mod lab;
mod measured;
mod memory;
pub mod mmu;
pub mod mmuext;
pub mod multicall;
mod physdev;
mod sched;
mod segment;
mod timer;
mod trap_table;
pub mod va_mapping;
mod vcpu;
mod version;
mod vm_assist;
mod work;

#[cfg(test)]
mod bounded;
#[cfg(test)]
mod charged;
#[cfg(test)]
mod early;
#[cfg(test)]
mod tests;

use crate::domain::{Domain, Step};
use crate::mm::{GuestView, Refusal};
use hypercalls::{DomId, Errno, Nr, Vaddr};
use mmu::{Mmu, Progress};
use multicall::Calls;

/// The guest's own number. It is the only domain.
pub(crate) const DOMID: DomId = 1;

/// What a hypercall that simply returns gives: rax, or an error.
pub type Answer = Result<i64, Errno>;

pub(crate) use batch::MAX_WORK;
pub(crate) use call::Unfinished;
pub use call::{Flush, call, syscall, syscall_with};
pub(crate) use descriptor::{base_of, descriptor_of};

/// One hypercall, trapped or inside a multicall.
///
/// # Errors
/// The step that follows, if the call does not return in the ordinary way.
fn dispatch(dom: &mut Domain, cpu: usize, nr: u64, args: [u64; 6]) -> Result<Progress, Step> {
    let Some(nr) = Nr::from_raw(nr) else {
        dom.stats.error("unknown hypercall");
        return Ok(Progress::Done(Errno::ENOSYS.to_ret()));
    };
    let answer = perform(dom, cpu, nr, args);
    if !matches!(answer, Ok(Progress::Continue(_))) {
        dom.stats.operations.dispatched(nr, &args);
    }
    answer
}

fn perform(dom: &mut Domain, cpu: usize, nr: Nr, args: [u64; 6]) -> Result<Progress, Step> {
    if !dom.mm.settle(&dom.memory) {
        return Ok(Progress::Continue(args));
    }
    let answer = match nr {
        Nr::MmuUpdate => return Ok(mmu::mmu_update(&mut mmu(dom, cpu), args)),
        Nr::MmuextOp => return Ok(mmuext::mmuext_op(&mut mmu(dom, cpu), args)),
        Nr::Multicall => return multicall::multicall(&mut Entries { dom, cpu }, args),
        Nr::UpdateVaMapping => {
            return Ok(va_mapping::update_va_mapping(&mut mmu(dom, cpu), args));
        }
        Nr::UpdateVaMappingOtherdomain => {
            let mmu = &mut mmu(dom, cpu);
            return Ok(va_mapping::update_va_mapping_otherdomain(mmu, args));
        }
        Nr::SchedOp => sched::sched_op(dom, cpu, args)?,
        Nr::VcpuOp => vcpu::vcpu_op(dom, cpu, args)?,
        Nr::Iret => return Err(iret(dom, cpu)),
        Nr::SetTrapTable => trap_table::set_trap_table(dom, cpu, args),
        Nr::SetGdt => descriptor::set_gdt(dom, cpu, args),
        Nr::StackSwitch => segment::stack_switch(dom, cpu, args),
        Nr::SetCallbacks => callback::set_callbacks(dom, cpu, args),
        Nr::FpuTaskswitch => debug::fpu_taskswitch(dom, cpu, args),
        Nr::SetDebugreg => debug::set_debugreg(dom, cpu, args),
        Nr::GetDebugreg => debug::get_debugreg(dom, cpu, args),
        Nr::UpdateDescriptor => descriptor::update_descriptor(dom, args),
        Nr::MemoryOp => memory::memory_op(dom, cpu, args),
        Nr::SetTimerOp => timer::set_timer_op(dom, cpu, args),
        Nr::XenVersion => version::xen_version(dom, cpu, args),
        Nr::ConsoleIo => console::console_io(dom, cpu, args),
        Nr::VmAssist => vm_assist::vm_assist(dom, args),
        Nr::SetSegmentBase => segment::set_segment_base(dom, cpu, args),
        Nr::CallbackOp => callback::callback_op(dom, cpu, args),
        Nr::EventChannelOp => event::event_channel_op(dom, cpu, args),
        Nr::PhysdevOp => physdev::physdev_op(dom, cpu, args),
        Nr::GrantTableOp => grant_table::grant_table_op(dom, cpu, args),
        Nr::Lab => lab::lab(dom, cpu, args),
    };
    Ok(match answer {
        Ok(result) => Progress::Done(result),
        Err(Errno::ERESTART) => Progress::Continue(args),
        Err(errno) => {
            dom.stats.error(errno.name());
            Progress::Done(errno.to_ret())
        }
    })
}

/// `iret` needs the registers: it happens when the trap is over.
fn iret(dom: &mut Domain, cpu: usize) -> Step {
    dom.vcpus[cpu].returning = true;
    Step::Resume
}

/// What the page-table hypercalls work on.
fn mmu(dom: &mut Domain, cpu: usize) -> Mmu<'_> {
    let v = &mut dom.vcpus[cpu];
    Mmu {
        mm: &mut dom.mm,
        mem: &dom.memory,
        cpu,
        domid: DOMID,
        kernel_base: &mut v.kernel_base,
        user_base: &mut v.user_base,
        ldt: &mut v.ldt,
        operations: &mut dom.stats.operations,
    }
}

/// The entries of a multicall, dispatched one by one.
struct Entries<'a> {
    dom: &'a mut Domain,
    cpu: usize,
}

impl Calls for Entries<'_> {
    type Exit = Step;

    fn view(&self) -> GuestView<'_> {
        self.dom.kernel_view(self.cpu)
    }

    fn work(&self) -> u64 {
        self.dom.mm.work()
    }

    fn charge(&mut self, work: u64) {
        self.dom.mm.charge(work);
    }

    fn is_over(&self) -> bool {
        self.dom.mm.is_over()
    }

    fn refuse(&mut self, refusal: Refusal) -> i64 {
        self.dom.mm.refuse(refusal)
    }

    fn poisons(&self) -> bool {
        self.dom.poison
    }

    /// A wait in the midst of a multicall is over at once, as any wait may be.
    fn call(&mut self, op: u64, args: [u64; 6]) -> Result<Progress, Step> {
        let answer = dispatch(self.dom, self.cpu, op, args);
        call::count_updates(self.dom, op, &args, &answer);
        let finished = !matches!(answer, Ok(Progress::Continue(_)));
        if finished {
            self.dom.stats.counters.multicall_entries += 1;
            measured::entry(self.dom, self.cpu, op, &args);
        }
        match answer {
            Err(Step::Yield | Step::Block { .. }) => {
                self.dom.resume(self.cpu);
                Ok(Progress::Done(0))
            }
            other => other,
        }
    }
}

/// Copies a hypercall's argument in, once.
fn read<T: zerocopy::FromBytes + zerocopy::IntoBytes>(
    dom: &Domain,
    cpu: usize,
    at: u64,
) -> Result<T, Errno> {
    let view = dom.kernel_view(cpu);
    view.read_obj(Vaddr(at)).map_err(|_| Errno::EFAULT)
}

/// Copies a hypercall's answer out.
fn write<T: zerocopy::IntoBytes + zerocopy::Immutable>(
    dom: &Domain,
    cpu: usize,
    at: u64,
    value: &T,
) -> Result<(), Errno> {
    let view = dom.kernel_view(cpu);
    view.write_obj(Vaddr(at), value).map_err(|_| Errno::EFAULT)
}
