//! A marker of user mode: registers → the operation opened or closed, and the answer.

use super::sample::Totals;
use super::{Fate, Label, Runner};
use crate::domain::{Domain, Regs};
use hypercalls::Vaddr;
use hypercalls::measure::*;

/// Answers the marker in `regs`, which is known to name [`LEAF`]; `None` where nobody listens, as
/// on any other hypervisor.
pub(crate) fn marker(dom: &mut Domain, cpu: usize, regs: &Regs) -> Option<[u32; 4]> {
    if !dom.attribution.enabled {
        return None;
    }
    let taken = take(dom, cpu, regs).unwrap_or(false);
    dom.attribution.refused += u64::from(!taken);
    Some([if taken { MAGIC } else { REFUSED }, 0, 0, 0])
}

fn take(dom: &mut Domain, cpu: usize, regs: &Regs) -> Option<bool> {
    let (now, totals) = (dom.clock.now(), Totals::of(&dom.stats));
    let task = dom.vcpus[cpu].kernel_sp;
    Some(match regs.rcx as u32 {
        HELLO => {
            let name = text(dom, cpu, regs)?;
            let version = u32::try_from(regs.rdx).ok()?;
            let runner = &mut dom.attribution.runner;
            runner.get_or_insert(Runner {
                name,
                version,
                at: now,
            });
            true
        }
        BEGIN => {
            let label = label(dom, cpu, regs)?;
            dom.attribution.begin(label, task, now, totals)
        }
        END => dom.attribution.close(Fate::Measured, now, totals),
        SKIP => {
            let why = text(dom, cpu, regs)?;
            dom.attribution.close(Fate::Skipped(why), now, totals)
        }
        FAIL => {
            let why = text(dom, cpu, regs)?;
            dom.attribution.close(Fate::Failed(why), now, totals)
        }
        _ => false,
    })
}

fn label(dom: &Domain, cpu: usize, regs: &Regs) -> Option<Label> {
    let operation = text(dom, cpu, regs)?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = !operation.is_empty() && operation.chars().all(word);
    named.then_some(Label {
        operation,
        pages: regs.rdx,
        depth: regs.r8,
        repetition: regs.r9,
        all_tasks: regs.r10 & ALL_TASKS != 0,
    })
}

/// The text the registers name, copied in once; anything that is no plain text is shown escaped.
fn text(dom: &Domain, cpu: usize, regs: &Regs) -> Option<String> {
    if regs.rsi > TEXT_MAX {
        return None;
    }
    let mut bytes = vec![0; regs.rsi as usize];
    dom.view(cpu).copy_in(Vaddr(regs.rdi), &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).escape_debug().to_string())
}
