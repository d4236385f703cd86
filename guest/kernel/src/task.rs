//! Tasks' stacks and the switch between them. What a task is, and when to switch, is the
//! library's business.
#![allow(unsafe_code, reason = "switches stacks")]

use crate::{kernel, percpu};
use core::arch::global_asm;
use core::cell::UnsafeCell;
use guest::machine::TaskId;

/// Tasks there can be; task 0 runs on the boot stack.
pub(crate) const MAX_TASKS: usize = guest::MAX_TASKS;
const STACK: usize = 32 << 10;

#[repr(C, align(4096))]
struct Stacks(UnsafeCell<[[u8; STACK]; MAX_TASKS]>);

#[repr(C)]
struct SavedSp(UnsafeCell<[u64; MAX_TASKS]>);

// SAFETY: a task's stack and saved rsp are touched only by the vCPU that runs or switches to that
// task, and the scheduler runs a task on one vCPU at a time.
unsafe impl Sync for Stacks {}
// SAFETY: as above.
unsafe impl Sync for SavedSp {}

static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK]; MAX_TASKS]));
static SAVED_SP: SavedSp = SavedSp(UnsafeCell::new([0; MAX_TASKS]));

unsafe extern "C" {
    fn switch_stacks(save: *mut u64, load: u64);
    safe fn task_start();
}

global_asm!(
    r#"
    .text
    switch_stacks:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, (%rdi)
        mov %rsi, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

    # A fresh stack ends here, the task's number in rbx.
    .globl task_start
    task_start:
        mov %rbx, %rdi
        xor %ebp, %ebp
        call {main}
        ud2
    "#,
    main = sym task_main,
    options(att_syntax)
);

fn saved(task: TaskId) -> *mut u64 {
    assert!(task.0 < MAX_TASKS, "task {} of {MAX_TASKS}", task.0);
    // SAFETY: in bounds.
    unsafe { SAVED_SP.0.get().cast::<u64>().add(task.0) }
}

/// Goes on as `next`; returns when something switches back to `prev`.
pub(crate) fn switch(prev: TaskId, next: TaskId) {
    // SAFETY: `next` has a prepared or saved stack that nobody runs on; `prev`'s registers are
    // saved on its own.
    unsafe { switch_stacks(saved(prev), saved(next).read()) };
}

/// The end of `task`'s stack, as at a function's first instruction.
pub(crate) fn stack_top(task: TaskId) -> u64 {
    assert!(task.0 < MAX_TASKS, "task {} of {MAX_TASKS}", task.0);
    STACKS.0.get() as u64 + ((task.0 + 1) * STACK) as u64 - 8
}

/// Gives `task`, which does not run, a stack whose first return leads to `task_start`.
pub(crate) fn new_stack(task: TaskId) {
    let sp = saved(task);
    // SAFETY: `saved` checked the number; nobody runs on a task's stack before it begins.
    unsafe {
        let top = STACKS
            .0
            .get()
            .cast::<u8>()
            .add((task.0 + 1) * STACK)
            .cast::<u64>();
        // r15, r14, r13, r12, rbp, rbx, return address; then 16-byte alignment at the call.
        let frame = top.sub(8);
        frame.cast::<[u64; 8]>().write([
            0,
            0,
            0,
            0,
            0,
            task.0 as u64,
            task_start as *const () as u64,
            0,
        ]);
        sp.write(frame as u64);
    }
}

extern "C" fn task_main(task: usize) -> ! {
    percpu::set_mask(false);
    kernel::get().task_main(TaskId(task));
    unreachable!("task {task} was resumed after its end");
}
