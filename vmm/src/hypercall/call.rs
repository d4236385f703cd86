//! One trap: from the guest's registers to dispatch and back, with everything that is counted.
//!
//! A trap counts once, with the page-table updates it carried, however many calls a multicall
//! holds. Comes in: number and arguments. Goes out: the result for rax, or a [`Step`].

use super::batch::MAX_WORK;
use super::dispatch;
use super::mmu::Progress;
use crate::domain::{Domain, Regs, Step};
use crate::trap;
use hypercalls::Nr;
use hypercalls::lab::Cause;
use hypercalls::mmu::MMU_UPDATE_PREEMPTED;

/// What is in a word that was destroyed.
pub(super) const POISON: u64 = 0xaaaa_aaaa_aaaa_aaaa;
/// Bytes of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

/// A trapped `syscall` of vCPU `cpu`: a hypercall from kernel mode, a system call from user mode.
/// `regs.rip` is past the instruction and `regs.rflags` what r11 holds.
pub fn syscall(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    if !dom.vcpus[cpu].kernel_mode {
        return trap::user_syscall(dom, cpu, regs);
    }
    let (nr, args) = (
        regs.rax,
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9],
    );
    let step = match trap(dom, cpu, nr, args) {
        Ok(Progress::Done(result)) => {
            regs.rax = result as u64;
            if dom.poison {
                poison(nr, regs);
            }
            Step::Resume
        }
        Ok(Progress::Continue(args)) => {
            // Pending events have their turn, then the instruction is executed again.
            [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
            regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
            Step::Resume
        }
        Err(step) => {
            regs.rax = 0;
            step
        }
    };
    if std::mem::take(&mut dom.vcpus[cpu].returning) {
        return trap::iret(dom, cpu, regs);
    }
    step
}

/// Destroys the registers that hypercall `nr` took its arguments from. No others: a guest may
/// count on those.
fn poison(nr: u64, regs: &mut Regs) {
    let used = Nr::from_raw(nr).map_or(0, Nr::args);
    let registers = [
        &mut regs.rdi,
        &mut regs.rsi,
        &mut regs.rdx,
        &mut regs.r10,
        &mut regs.r8,
    ];
    for register in registers.into_iter().take(used) {
        *register = POISON;
    }
}

/// One hypercall from kernel mode without registers: the result for rax, or what happens instead
/// of returning; where that is a pause (`Block`, `Yield`, `Down`) rax is 0 afterwards. A call that
/// is cut short is continued here.
///
/// # Errors
/// The step that follows, if the call does not return in the ordinary way. `iret` needs
/// registers and gives `Resume`.
pub fn call(dom: &mut Domain, cpu: usize, nr: u64, mut args: [u64; 6]) -> Result<i64, Step> {
    loop {
        match trap(dom, cpu, nr, args)? {
            Progress::Done(result) => return Ok(result),
            Progress::Continue(rest) => args = rest,
        }
    }
}

/// One trap, counted.
fn trap(dom: &mut Domain, cpu: usize, nr: u64, args: [u64; 6]) -> Result<Progress, Step> {
    dom.stats.call(cpu, nr, args);
    let cause = dom.lab.is_open().then(|| cause(dom, cpu));
    dom.updates_in_trap = 0;
    dom.mm.limit(Some(MAX_WORK));
    let answer = dispatch(dom, cpu, nr, args);
    dom.mm.limit(None);
    count_updates(dom, nr, &args, &answer);
    let updates = std::mem::take(&mut dom.updates_in_trap);
    dom.stats.batch(updates);
    if let Some(cause) = cause
        && nr != Nr::Lab as u64
    {
        let name = Nr::from_raw(nr).map_or("unknown", Nr::name);
        dom.lab.trap(cause, name, updates);
    }
    match answer {
        Ok(Progress::Done(result)) => dom.stats.returned(cpu, result),
        Ok(Progress::Continue(_)) => dom.stats.counters.continuations += 1,
        Err(_) => {}
    }
    answer
}

/// Counts the page-table updates a call asked for; of one that was cut short, those it handled.
/// A multicall's own are those of its entries.
pub(super) fn count_updates(
    dom: &mut Domain,
    nr: u64,
    args: &[u64; 6],
    answer: &Result<Progress, Step>,
) {
    let asked = updates(nr, args);
    let left = match answer {
        Ok(Progress::Continue(rest)) => updates(nr, rest),
        _ => 0,
    };
    let handled = asked.saturating_sub(left);
    dom.updates_in_trap = dom.updates_in_trap.saturating_add(handled);
}

fn updates(nr: u64, args: &[u64; 6]) -> u64 {
    match Nr::from_raw(nr) {
        Some(Nr::MmuUpdate) => u64::from(args[1] as u32 & !MMU_UPDATE_PREEMPTED),
        Some(Nr::UpdateVaMapping | Nr::UpdateVaMappingOtherdomain) => 1,
        _ => 0,
    }
}

/// Why the guest says it makes this hypercall.
fn cause(dom: &Domain, cpu: usize) -> Cause {
    let Some(page) = dom.lab.page else {
        return Cause::Kernel;
    };
    let word = dom.kernel_view(cpu).read_obj(page.add(cpu as u64 * 4));
    Cause::from_raw(word.unwrap_or(0))
}
