//! Where the guest's console goes. Comes in: what it wrote, from any vCPU's thread. Goes out: the
//! same in order, written without the domain locked, for as long as somebody reads it.
#![allow(unsafe_code, reason = "poll has no safe wrapper here")]

use super::shared::Shared;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::sync::TryLockError;

/// What a descriptor that polls as writable takes at once: pipes promise `PIPE_BUF`, 4096, and
/// stdout may have this much buffered already.
const PIECE: usize = 1024;
/// How long a reader may take before the end is looked for.
const PATIENCE_MS: i32 = 50;

/// A writer, and the descriptor to wait for before each piece.
pub(super) struct Sink<'o> {
    to: Option<Box<dyn Write + Send + 'o>>,
    fd: Option<RawFd>,
}

impl<'o> Sink<'o> {
    pub(super) fn new(to: Option<Box<dyn Write + Send + 'o>>, fd: Option<RawFd>) -> Sink<'o> {
        Sink { to, fd }
    }

    /// Whether a piece can be written without waiting; true if it never waits.
    fn is_ready(&self, patience_ms: i32) -> bool {
        let Some(fd) = self.fd else {
            return true;
        };
        let mut asked = libc::pollfd {
            fd,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one initialized entry, written to during the call only.
        let ready = unsafe { libc::poll(&raw mut asked, 1, patience_ms) };
        // Its errors are the write's to report; a kick is none.
        ready > 0 || ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted
    }
}

impl Shared<'_> {
    /// Hands on what the guest wrote, if it goes anywhere. One thread does it at a time; what the
    /// others write meanwhile is its to hand on too.
    pub(super) fn hand_on_console(&self) {
        if self.lock().console.has_made_room() {
            // A full counter is readable too.
            let _ = self.room.write(1);
        }
        while self.lock().console.has_output() {
            let mut sink = match self.output.try_lock() {
                Ok(sink) => sink,
                Err(TryLockError::Poisoned(sink)) => sink.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            if sink.to.is_none() {
                return;
            }
            let bytes = self.lock().console.take_output();
            self.write(&mut sink, &bytes);
        }
    }

    /// Nobody may be reading any more: the guest goes on without a console then.
    fn write(&self, sink: &mut Sink<'_>, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            while !sink.is_ready(if self.stopped() { 0 } else { PATIENCE_MS }) {
                if self.stopped() {
                    return;
                }
            }
            let Some(to) = &mut sink.to else {
                return;
            };
            if to.write_all(piece).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    }
}
