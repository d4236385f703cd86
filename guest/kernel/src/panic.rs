//! The end of a kernel that cannot go on: a line, then SHUTDOWN_crash.

use crate::{console, hypercall};
use core::panic::PanicInfo;
use hypercalls::Nr;
use hypercalls::sched::{SCHEDOP_SHUTDOWN, SchedShutdown};

/// Ends the domain for `reason`, one of `hypercalls::sched::SHUTDOWN_*`.
pub(crate) fn shutdown(reason: u32) -> ! {
    let mut arg = SchedShutdown { reason };
    loop {
        let at = hypercall::address_of(&mut arg);
        hypercall::call(Nr::SchedOp, [u64::from(SCHEDOP_SHUTDOWN), at, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    console::line(format_args!("kernel panic: {info}"));
    shutdown(hypercalls::sched::SHUTDOWN_CRASH)
}
