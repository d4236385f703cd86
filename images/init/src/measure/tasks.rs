//! Tasks that come and go: fork and exit, exec, a thread. All tasks' hypercalls count.
#![allow(unsafe_code, reason = "fork")]

use super::NOTHING;
use super::region::Region;
use super::section::{Section, Trouble};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execv, fork as fork_process};
use std::ffi::CString;
use std::thread::spawn;

/// A child that ends at once: `copy_pte_range`, then `zap_pte_range`.
pub(super) fn fork(pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let _copied = Region::written(pages)?;
    section.measure(|| child(|| end(0)))
}

/// A child that becomes another program, which does nothing.
pub(super) fn exec(_pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    let word = |text: &str| CString::new(text).map_err(|e| Trouble::Failed(e.to_string()));
    let (program, nothing) = (word("/proc/self/exe")?, word(NOTHING)?);
    let args = [program.as_c_str(), nothing.as_c_str()];
    section.measure(|| {
        child(|| {
            let Err(_) = execv(&program, &args);
            end(1)
        })
    })
}

/// A thread that ends at once, its stack mapped and unmapped.
pub(super) fn thread(_pages: usize, section: &mut Section<'_>) -> Result<(), Trouble> {
    section.measure(|| {
        let ended = spawn(|| ()).join();
        ended.map_err(|_| Trouble::Failed("the thread panicked".into()))
    })
}

/// Has a child do something, and waits for it.
fn child(what: impl FnOnce()) -> Result<(), Trouble> {
    // SAFETY: there is no other thread, so the child may do what this process may.
    match unsafe { fork_process() } {
        Ok(ForkResult::Child) => {
            what();
            end(0)
        }
        Ok(ForkResult::Parent { child }) => ended(child),
        Err(e) => Err(Trouble::Failed(format!("fork: {e}"))),
    }
}

fn ended(child: Pid) -> Result<(), Trouble> {
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        other => Err(Trouble::Failed(format!("the child: {other:?}"))),
    }
}

/// Ends this process and runs nothing more of it.
fn end(code: i32) -> ! {
    // SAFETY: has no precondition.
    unsafe { libc::_exit(code) }
}
