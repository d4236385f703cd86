//! Runs the cells of a plan, one after the other, and reports each: to the hypervisor by
//! `LAB_RESULT`, to the reader by a line on the console. Comes in: a command line; goes out: one
//! [`CellResult`] a cell.

use crate::config::Config;
use crate::frames::PTES_MAX;
use crate::kernel::{Kernel, Os};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::region::tear_down;
use crate::work::{Done, Stop, Work};
use crate::workloads;
use hypercalls::lab::{Cause, CellResult, LAB_RESULT, Outcome, Text};
use hypercalls::{Errno, Nr};
use zerocopy::IntoBytes;

/// Runs the plan on the command line: `workload=a,b policy=c,d ptes=N batch=linux|N ...`, by
/// default all × all; or the probes of `probe=a,b`, by name or `all`. Words that are none of the plan's keys are left to others.
pub fn run<M: Machine>(kernel: &Kernel<M>, plan: &str) {
    let os = kernel.os();
    let plan = match Plan::parse(plan) {
        Ok(plan) => plan,
        Err(bad) => return os.machine.log(format_args!("lab: {bad}")),
    };
    if let Some(names) = plan.probes {
        return crate::probe::run(os, names);
    }
    for workload in plan.workloads() {
        for policy in plan.policies() {
            cell(
                os,
                workload,
                Config {
                    policy,
                    ..plan.config
                },
            );
        }
    }
}

/// Forgets the last cell and takes up the axes of the next.
pub(crate) fn prepare(os: Os<'_>, config: Config) {
    os.core.config.set(config);
    os.core.meter.reset();
    os.core.oracle.reset();
    os.core.verdict.reset();
    os.core.on_ipi.set(None);
    os.core.window.set(0);
    os.reset_tasks();
}

/// Runs and reports one cell.
fn cell(os: Os<'_>, workload: usize, config: Config) {
    prepare(os, config);
    let ran = run_cell(os, workload).and_then(|()| tear_down(os));
    if let Err(stop) = ran {
        os.core.verdict.close(Err(stop));
    }
    report(os, workload);
}

fn run_cell(os: Os<'_>, workload: usize) -> Done {
    let ptes = os.config().ptes;
    if ptes == 0 || ptes > PTES_MAX {
        return Err(Stop::Error("ptes must be 1 to 8192"));
    }
    if !os.fill_data(ptes) {
        return Err(Stop::Error("too little memory for that many pages"));
    }
    let task = os
        .fork(1, cell_main, workload)
        .ok_or(Stop::Error("no free task"))?;
    os.join(task);
    os.reset_tasks();
    Ok(())
}

/// The cell's task: a new one, as any process a kernel runs.
fn cell_main(os: Os<'_>, workload: usize) {
    let work = Work::new(os);
    let mut done = (workloads::TABLE[workload % workloads::TABLE.len()].run)(&work);
    if done.is_ok() {
        done = work.alive();
    }
    match done {
        Ok(()) => finish(os),
        Err(Stop::Bug(_)) => after_bug(os),
        Err(_) => {}
    }
    os.core.verdict.close(done);
}

/// The modelled kernel has stopped; its tables can be looked at all the same. What it had been
/// promised must be there, and what it had written since must be in the queue, whole.
fn after_bug(os: Os<'_>) {
    os.check_promised();
    os.flush(Cause::Kernel);
    os.check_all();
}

/// What holds at the end of every workload.
fn finish(os: Os<'_>) {
    if os.core.verdict.hazard.get().is_none() {
        if os.queues() {
            os.violated(format_args!("still lazy at the end"));
        }
        if os.core.meter.early_flushes.get() > 0 && os.config().order == crate::config::Order::Fifo
        {
            os.violated(format_args!(
                "a TLB flush was issued before a write queued ahead of it"
            ));
        }
    }
    os.flush(Cause::Kernel);
    os.check_all();
}

/// Hands the cell's result over.
fn report(os: Os<'_>, workload: usize) {
    let mut result = result(os, workload);
    let args = [u64::from(LAB_RESULT), 0, 0, 0, 0];
    let block = result.as_mut_bytes();
    let rc = os.machine.call_with(Cause::Kernel, Nr::Lab, args, 1, block);
    let traps: u64 = result.calls[1..].iter().sum();
    let (workload, policy) = (result.workload.as_str(), result.policy.as_str());
    let (outcome, bug) = (outcome_name(result.outcome), result.bug.as_str());
    os.machine.log(format_args!(
        "lab: {workload} {policy}: {outcome} traps {traps} updates {} emulated {} differing {} {bug}{}{}",
        result.updates,
        result.emulated_writes,
        result.differing + result.mistouched,
        result.detail.as_str(),
        match rc {
            0 => "",
            // Another hypervisor, which keeps no results: this line is the only one.
            _ if rc == Errno::ENOSYS.to_ret() => "",
            _ => " (result refused)",
        },
    ));
}

fn outcome_name(raw: u32) -> &'static str {
    match Outcome::from_raw(raw) {
        Some(Outcome::Ran) => "ran",
        Some(Outcome::Bug) => "bug",
        Some(Outcome::Skip) => "skip",
        Some(Outcome::Error) | None => "error",
    }
}

fn result(os: Os<'_>, workload: usize) -> CellResult {
    let (meter, oracle) = (&os.core.meter, &os.core.oracle);
    let (outcome, bug, detail) = os.core.verdict.sum();
    let mut calls = [0; 8];
    calls
        .iter_mut()
        .zip(&meter.calls)
        .for_each(|(to, from)| *to = from.get());
    CellResult {
        workload: Text::new(workloads::TABLE[workload % workloads::TABLE.len()].name),
        policy: Text::new(os.policy().name),
        outcome: outcome as u32,
        ptes: os.config().ptes as u32,
        calls,
        updates: meter.updates.get(),
        emulated_writes: meter.emulated.get(),
        compared: oracle.compared.get(),
        differing: oracle.differing.get(),
        touched: oracle.touched.get(),
        mistouched: oracle.mistouched.get(),
        bug: Text::new(bug),
        detail,
    }
}
