//! Fork and copy on write: children by the dozen, several at once, each with its own view of pages
//! that all of them write.
#![allow(unsafe_code, reason = "fork of a process with one thread")]

use super::outcome::{NotOk, Outcome, ensure};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

const PAGE: usize = 4096;
const PAGES: usize = 128;
/// How often children are made, and how many then.
const ROUNDS: u8 = 8;
const CHILDREN: u8 = 4;

/// Each child checks that it sees what its parent had, writes its own, and has a child that must
/// see that.
pub(super) fn check() -> Outcome {
    let mut pages = vec![0_u8; PAGES * PAGE];
    for round in 1..=ROUNDS {
        write(&mut pages, round);
        let mut children = Vec::new();
        for child in 1..=CHILDREN {
            children.push(child_of(|| family(&mut pages, round, 100 + child))?);
        }
        // They are still reading what was theirs at the fork.
        write(&mut pages, 200 + round);
        for child in children {
            succeeded(child)?;
        }
        ensure(holds(&pages, 200 + round), || {
            "a child wrote its parent's".into()
        })?;
    }
    Ok(())
}

fn family(pages: &mut [u8], parents: u8, own: u8) -> Result<bool, NotOk> {
    let inherited = holds(pages, parents);
    write(pages, own);
    let grandchild = child_of(|| Ok(holds(pages, own)))?;
    succeeded(grandchild)?;
    Ok(inherited && holds(pages, own))
}

/// Forks; the child ends with what `work` says.
fn child_of(work: impl FnOnce() -> Result<bool, NotOk>) -> nix::Result<Pid> {
    // SAFETY: a check's process has one thread here, so no lock is held by another.
    match unsafe { fork()? } {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => std::process::exit(match work() {
            Ok(true) => 0,
            Ok(false) | Err(_) => 1,
        }),
    }
}

fn succeeded(child: Pid) -> Outcome {
    let status = waitpid(child, None)?;
    ensure(matches!(status, WaitStatus::Exited(_, 0)), || {
        format!("a child saw other pages than its own: {status:?}")
    })
}

/// `value` at each page's begin and end.
fn write(pages: &mut [u8], value: u8) {
    for page in pages.chunks_mut(PAGE) {
        (page[0], page[PAGE - 1]) = (value, value);
    }
}

fn holds(pages: &[u8], value: u8) -> bool {
    let mut pages = pages.chunks(PAGE);
    pages.all(|page| (page[0], page[PAGE - 1]) == (value, value))
}
