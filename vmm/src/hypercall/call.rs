//! One trap: from the guest's registers to dispatch and back, with everything that is counted.
//!
//! A hypercall counts once, with the page-table updates it carried, however many calls a multicall
//! holds, and in however many parts it is done. Comes in: number and arguments. Goes out: the result
//! for rax, or a [`Step`].

use super::batch::MAX_WORK;
use super::mmu::Progress;
use super::{dispatch, measured};
use crate::attribution::Trapped;
use crate::domain::{CrashReason, Domain, Regs, Step};
use crate::trap;
use hypercalls::Nr;
use hypercalls::lab::Cause;
use hypercalls::mmu::MMU_UPDATE_PREEMPTED;
use hypercalls::sched::SHUTDOWN_CRASH;

/// What is in a word that was destroyed.
pub(super) const POISON: u64 = 0xaaaa_aaaa_aaaa_aaaa;
/// Bytes of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

/// Does what a trap left for the host so far ([`Domain::take_effects`]) in the midst of it, without
/// letting go of the domain.
///
/// # Errors
/// The domain's end, if the host cannot.
pub type Flush<'a> = dyn FnMut(&mut Domain) -> Result<(), Step> + 'a;

/// The flush of a host without CPUs: nothing remembers anything.
fn no_cpus(dom: &mut Domain) -> Result<(), Step> {
    dom.take_effects();
    Ok(())
}

/// As [`syscall_with`], for hosts without CPUs.
pub fn syscall(dom: &mut Domain, cpu: usize, regs: &mut Regs) -> Step {
    syscall_with(dom, cpu, regs, &mut no_cpus)
}

/// A trapped `syscall` of vCPU `cpu`: a hypercall from kernel mode, a system call from user mode.
/// `regs.rip` is past the instruction and `regs.rflags` what r11 holds.
pub fn syscall_with(dom: &mut Domain, cpu: usize, regs: &mut Regs, flush: &mut Flush<'_>) -> Step {
    if !dom.vcpus[cpu].kernel_mode {
        return trap::user_syscall(dom, cpu, regs);
    }
    let step = hypercall(dom, cpu, regs, flush);
    dom.suspect(cpu, regs, step)
}

fn hypercall(dom: &mut Domain, cpu: usize, regs: &mut Regs, flush: &mut Flush<'_>) -> Step {
    let asked = Asked {
        rip: regs.rip,
        nr: regs.rax,
        args: [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9],
    };
    let trapped = measured::trapped(dom, cpu, (asked.nr, &asked.args), regs);
    let step = match trap(dom, cpu, asked, trapped, flush) {
        Ok(Progress::Done(result)) => {
            regs.rax = result as u64;
            if dom.poison {
                poison(asked.nr, regs);
            }
            Step::Resume
        }
        Ok(Progress::Continue(args)) => {
            // Pending events have their turn, then the instruction is executed again.
            [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
            regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
            Step::Resume
        }
        // It says why on its console; what it was doing then is for the dump.
        Err(Step::Shutdown(SHUTDOWN_CRASH)) => Step::crash(cpu, regs, CrashReason::Reported),
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
        let asked = Asked { rip: 0, nr, args };
        match trap(dom, cpu, asked, None, &mut no_cpus)? {
            Progress::Done(result) => return Ok(result),
            Progress::Continue(rest) => args = rest,
        }
    }
}

/// A hypercall as the guest asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// After the instruction.
    rip: u64,
    nr: u64,
    args: [u64; 6],
}

/// A hypercall that was cut short: what the guest executes to go on with it, and the page-table
/// updates so far. If another comes first, an event handler's, that one counts by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfinished {
    asked: Asked,
    updates: u64,
}

/// One trap, counted if it is not another part of an earlier one; and attributed, if an operation is
/// open.
fn trap(
    dom: &mut Domain,
    cpu: usize,
    asked: Asked,
    trapped: Option<Trapped>,
    flush: &mut Flush<'_>,
) -> Result<Progress, Step> {
    let before = &mut dom.vcpus[cpu].unfinished;
    dom.updates_in_trap = match before.take_if(|before| before.asked == asked) {
        Some(before) => before.updates,
        None => {
            dom.stats.call(cpu, asked.nr, asked.args);
            0
        }
    };
    let cause = dom.lab.is_open().then(|| cause(dom, cpu));
    let answer = answer(dom, cpu, asked.nr, asked.args, flush);
    let updates = std::mem::take(&mut dom.updates_in_trap);
    if let Ok(Progress::Continue(args)) = answer {
        dom.stats.counters.continuations += 1;
        let asked = Asked { args, ..asked };
        dom.vcpus[cpu].unfinished = Some(Unfinished { asked, updates });
        return answer;
    }
    if let Ok(Progress::Done(result)) = answer {
        dom.stats.returned(cpu, result);
    }
    dom.stats.batch(updates);
    if let Some(trapped) = trapped {
        let now = dom.clock.now();
        dom.attribution.returned(cpu, trapped, updates, now);
    }
    if let Some(cause) = cause
        && asked.nr != Nr::Lab as u64
    {
        let name = Nr::from_raw(asked.nr).map_or("unknown", Nr::name);
        dom.lab.trap(cause, name, updates);
    }
    answer
}

/// Dispatches until there is an answer. Where other vCPUs must flush first, they do, and it goes on
/// where it was: nobody else had a hand on the domain. A part that finds its work done leaves the
/// rest to the guest, so a trap waits for a bounded number of flushes; a new one can do something.
fn answer(
    dom: &mut Domain,
    cpu: usize,
    nr: u64,
    mut args: [u64; 6],
    flush: &mut Flush<'_>,
) -> Result<Progress, Step> {
    dom.mm.limit(Some(MAX_WORK));
    let answer = loop {
        let answer = dispatch(dom, cpu, nr, args);
        count_updates(dom, nr, &args, &answer);
        match answer {
            Ok(Progress::Continue(rest)) if dom.mm.awaits_flush() => args = rest,
            answer => break answer,
        }
        if let Err(step) = flush(dom) {
            break Err(step);
        }
    };
    dom.mm.limit(None);
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
