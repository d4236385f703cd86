//! Performing something so many forks below this process.
#![allow(unsafe_code, reason = "fork")]

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Runs `what` in a descendant, each generation waiting for the next; here for depth 0. The
/// process must have one thread.
pub(super) fn at(depth: u64, what: impl FnOnce()) -> Result<(), String> {
    for level in 0..depth {
        // SAFETY: there is no other thread, so the child may do what this process may.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {}
            Ok(ForkResult::Parent { child }) => {
                let ended = waitpid(child, None);
                if level == 0 {
                    return status(ended);
                }
                std::process::exit(i32::from(status(ended).is_err()));
            }
            Err(e) if level == 0 => return Err(format!("fork: {e}")),
            Err(_) => std::process::exit(1),
        }
    }
    what();
    match depth {
        0 => Ok(()),
        _ => std::process::exit(0),
    }
}

fn status(ended: nix::Result<WaitStatus>) -> Result<(), String> {
    match ended {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
