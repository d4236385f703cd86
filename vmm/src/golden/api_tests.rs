//! The state tables' edges: nesting, wraps, interrupts, what waits when it is relied upon.

use super::super::op::{section, times};
use super::*;

const CPU: Api = Api::Nested(Hooks::Cpu);
const TASK: Api = Api::Nested(Hooks::Task);

fn run(api: Api, pause_count: u8, ops: &[Op]) -> Result<Task, Bug> {
    let mut task = Task::new(api, Batch::Linux, pause_count);
    ops.iter().try_for_each(|op| task.step(*op))?;
    Ok(task)
}

fn traps(api: Api, pause_count: u8, ops: &[Op]) -> Result<u64, Bug> {
    run(api, pause_count, ops).map(|task| task.traps())
}

#[test]
fn a_nested_disable_every_k() {
    for (k, expected) in [(1, 512), (4, 128), (16, 32), (64, 24)] {
        let inner = section(times(k, &[Op::Set]));
        let ops = section(times(512 / k, &inner));
        for api in [CPU, TASK, Api::LocalState, Api::PerCpuNesting] {
            assert_eq!(traps(api, 0, &ops), Ok(expected), "{api:?} every {k}");
        }
        assert_eq!(traps(Api::PerCpu, 0, &ops), Err(BUG_ENTER));
    }
}

#[test]
fn counters_wrap_as_the_kernels_do() {
    let two = section([Op::Set, Op::Set]);
    // resume at 0: 255 from then on, nothing is queued any more.
    let ops = [vec![Op::Resume], two.clone()].concat();
    assert_eq!(traps(TASK, 0, &ops), Ok(2));
    assert_eq!(traps(CPU, 0, &ops), Ok(2));
    // disable at 0: 255, the task stays lazy; its last write is still queued.
    assert_eq!(traps(TASK, 0, &[Op::Disable, Op::Set, Op::Set]), Ok(0));
    // enable at 255: 0. The counters queue nothing; the CPU's mode knows nothing of it.
    let ops = [times(256, &[Op::Enable]), times(3, &[Op::Set])].concat();
    assert_eq!(traps(TASK, 0, &ops), Ok(3));
    assert_eq!(traps(CPU, 0, &ops), Ok(0));
    // pause at 255 is 0: a section inside such a pause batches.
    let ops = [vec![Op::Pause], two, vec![Op::Resume]].concat();
    assert_eq!(traps(TASK, 255, &ops), Ok(1));
    assert_eq!(traps(TASK, 0, &ops), Ok(2));
}

#[test]
fn opening_with_softirqs_on_and_closing_with_them_off_leaks() {
    let ops = [
        Op::Enable,
        Op::Set,
        Op::IrqEnter,
        Op::Disable,
        Op::IrqExit,
        Op::Set,
    ];
    for api in [CPU, TASK] {
        assert_eq!(traps(api, 0, &ops), Ok(0), "both still wait");
    }
    assert_eq!(traps(Api::PerCpuNesting, 0, &ops), Ok(2));
}

#[test]
fn leaving_what_was_not_entered_is_a_bug_before_the_nested_api() {
    assert_eq!(traps(Api::PerCpu, 0, &[Op::Disable]), Err(BUG_LEAVE));
    assert_eq!(traps(Api::PerCpuNesting, 0, &[Op::Disable]), Err(BUG_LEAVE));
}

#[test]
fn an_inner_leave_of_strip_ends_batching() {
    let ops = section([section([Op::Set, Op::Set]), times(5, &[Op::Set])].concat());
    assert_eq!(traps(Api::Strip, 0, &ops), Ok(6));
    assert_eq!(traps(Api::LocalState, 0, &ops), Ok(2));
}

#[test]
fn what_waits_cannot_be_relied_upon() {
    let relied = |ops: &[Op]| run(TASK, 0, &section(ops.to_vec())).map(|t| t.hazard);
    let stale = Op::RelyOn("stale");
    assert_eq!(relied(&[Op::Set, stale]), Ok(Some("stale")));
    assert_eq!(relied(&[Op::Set, Op::ArchFlush, stale]), Ok(None));
    assert_eq!(relied(&[Op::Pause, Op::Set, Op::Resume, stale]), Ok(None));
    assert_eq!(relied(&[Op::Sleep("asleep")]), Ok(Some("asleep")));
}

#[test]
fn a_refused_write_loses_what_joined_it() {
    let refused = |ops: &[Op]| run(TASK, 0, &section(ops.to_vec())).map(|t| t.hazard);
    let bad = Op::Refused("lost");
    assert_eq!(refused(&[bad, Op::Set]), Ok(Some("lost")));
    assert_eq!(refused(&[bad]), Ok(None));
    assert_eq!(refused(&[bad, Op::ArchFlush, Op::Set]), Ok(None));
    let at_the_end = [times(30, &[Op::Set]), vec![bad, Op::Set]].concat();
    assert_eq!(
        refused(&at_the_end),
        Ok(None),
        "the 32nd goes with the next flush"
    );
}
