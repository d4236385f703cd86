//! The user's terminal while a guest has it: every key goes to the guest as it is.
//!
//! Comes in: a terminal's descriptor. Goes out: raw mode for as long as a [`Raw`] lives, and what
//! was before, whichever way the process ends that it can still do something about: the value goes,
//! or a thread panics, which ends the process where panics abort. Output is still processed: a
//! guest's bare line feed starts a line.

use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::{Mutex, Once, PoisonError};

/// The terminal in raw mode, and how it was.
static SAVED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// Raw mode, until this is dropped. There is one terminal, and one of these at a time.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Enters it.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub(crate) fn enter(terminal: OwnedFd) -> io::Result<Raw> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        raw.output_flags = before.output_flags | OutputFlags::OPOST;
        let mut saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw)?;
        *saved = Some((terminal, before));
        Ok(Raw(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Once is enough: the next time there is nothing saved.
fn restore() {
    let saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((terminal, before)) = saved {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(&terminal, SetArg::TCSANOW, &before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::LocalFlags;

    /// One test, for there is one terminal.
    #[test]
    fn what_was_is_restored_by_a_drop_and_by_a_panic() {
        let pty = openpty(None, None).expect("a terminal");
        let flags = || {
            let now = tcgetattr(&pty.slave).expect("a terminal");
            (now.input_flags, now.output_flags, now.local_flags)
        };
        let before = flags();
        let enter = || Raw::enter(pty.slave.try_clone().expect("a descriptor")).expect("raw");
        let raw = enter();
        assert!(!flags().2.intersects(LocalFlags::ICANON | LocalFlags::ISIG));
        assert!(flags().1.contains(OutputFlags::OPOST));
        drop(raw);
        assert_eq!(flags(), before);
        std::mem::forget(enter());
        assert_ne!(flags(), before);
        let panicked = std::thread::spawn(|| panic!("meant")).join();
        assert!(panicked.is_err());
        assert_eq!(flags(), before);
    }
}
