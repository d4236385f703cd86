//! The loop beside the vCPU threads: timers, signals, the guest's input, the time limit, the end.
//! One epoll loop (event-manager), on a thread of its own.
#![allow(unsafe_code, reason = "signalfd has no safe wrapper here")]

use super::input::{Input, Taken};
use super::shared::{Ending, Shared};
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use vmm_sys_util::signal::{block_signal, create_sigset, unblock_signal};
use vmm_sys_util::timerfd::TimerFd;

const ENDED: u32 = 0;
const LIMIT: u32 = 1;
const SIGNAL: u32 = 2;
const INPUT: u32 = 3;
const ROOM: u32 = 4;
const TIMER: u32 = 16;
const SIGNALS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// SIGINT, SIGTERM, SIGHUP and SIGQUIT as a descriptor; blocked as signals while this lives. Threads
/// started meanwhile inherit the block.
#[derive(Debug)]
pub(super) struct Signals(OwnedFd);

impl Signals {
    pub(super) fn new() -> io::Result<Signals> {
        let set = create_sigset(&SIGNALS)?;
        for signal in SIGNALS {
            // Blocked already is as good.
            let _ = block_signal(signal);
        }
        // SAFETY: `set` is initialized; the result is checked and owned by nobody else.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of a signal that came.
    fn take(&self) -> Option<i32> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: reads at most the buffer's length into it.
        let n = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
        // The number is the structure's first word.
        (n as usize == info.len()).then(|| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for signal in SIGNALS {
            // Nothing was waiting, or it already ended the domain.
            let _ = unblock_signal(signal);
        }
    }
}

/// A timer that is never waited for by reading it: its vCPU may set it anew between the moment it
/// was seen to have expired and the read, which would then last until it expires again.
pub(super) fn timer() -> io::Result<TimerFd> {
    let timer = TimerFd::new()?;
    // SAFETY: has no precondition; the descriptor is open.
    let set = unsafe { libc::fcntl(timer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(timer)
}

/// Takes what has expired of it, if anything has. The count is of no interest.
fn drain(timer: &TimerFd) {
    let mut count = [0u8; 8];
    // SAFETY: reads at most eight bytes into the buffer; the descriptor is open.
    unsafe { libc::read(timer.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// What comes from outside while a domain runs.
pub(super) struct Outside {
    /// Ends the domain after so long.
    pub(super) time_limit: Option<Duration>,
    /// Where the guest's input comes from; `None` from its end on.
    pub(super) input: Option<Input>,
}

/// Whether the input is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Its readiness is waited for.
    Yes,
    /// It waits for room.
    Paused,
    /// It cannot be waited for, being a file: it is always ready.
    Never,
}

struct Watch<'a, 'o> {
    shared: Arc<Shared<'o>>,
    signals: &'a Signals,
    limit: TimerFd,
    input: Option<Input>,
    watched: Watched,
}

/// The loop, with everything it needs open.
pub(super) struct Loop<'a, 'o> {
    shared: Arc<Shared<'o>>,
    manager: EventManager<Watch<'a, 'o>>,
}

impl<'a, 'o> Loop<'a, 'o> {
    /// Opens it; the time limit counts from now on.
    pub(super) fn new(
        shared: &Arc<Shared<'o>>,
        signals: &'a Signals,
        outside: Outside,
    ) -> io::Result<Self> {
        let mut limit = TimerFd::new()?;
        if let Some(after) = outside.time_limit {
            limit.reset(after, None)?;
        }
        let mut manager = EventManager::new().map_err(other)?;
        manager.add_subscriber(Watch {
            shared: Arc::clone(shared),
            signals,
            limit,
            input: outside.input,
            watched: Watched::Yes,
        });
        let shared = Arc::clone(shared);
        Ok(Loop { shared, manager })
    }

    /// Serves until the domain has ended.
    pub(super) fn serve(mut self) -> io::Result<()> {
        while !self.shared.stopped() {
            self.manager.run().map_err(other)?;
        }
        Ok(())
    }
}

fn other(e: event_manager::Error) -> io::Error {
    io::Error::other(e.to_string())
}

impl Watch<'_, '_> {
    /// Waits for input from now on, if there is any to come.
    fn watch_input(&mut self, ops: &mut EventOps<'_>) {
        let Some(input) = &self.input else {
            return;
        };
        let added = ops.add(Events::with_data_raw(input.fd(), INPUT, EventSet::IN));
        match added {
            Ok(()) => self.watched = Watched::Yes,
            Err(_) => {
                self.watched = Watched::Never;
                self.take_file();
            }
        }
    }

    /// Input is ready.
    fn take_input(&mut self, ops: &mut EventOps<'_>) {
        let Some(input) = &mut self.input else {
            return;
        };
        let fd = input.fd();
        let taken = input.take(&self.shared);
        if taken == Taken::More {
            return;
        }
        // The descriptor is registered: removing it cannot fail.
        let _ = ops.remove(Events::with_data_raw(fd, INPUT, EventSet::IN));
        match taken {
            Taken::End => self.input = None,
            Taken::Full | Taken::More => self.watched = Watched::Paused,
        }
    }

    /// Takes of a file what there is room for.
    fn take_file(&mut self) {
        let Some(input) = &mut self.input else {
            return;
        };
        loop {
            match input.take(&self.shared) {
                Taken::More => {}
                Taken::Full => return,
                Taken::End => break,
            }
        }
        self.input = None;
    }

    fn timer(&self, cpu: usize) {
        if let Some(peer) = self.shared.peers.get(cpu) {
            drain(&peer.timer.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let mut domain = self.shared.lock();
        let now = domain.clock.now();
        domain.expire_timers(now);
        let kicks = domain.kicks();
        drop(domain);
        self.shared.kick(cpu);
        self.shared.kick_mask(kicks, cpu);
    }
}

impl MutEventSubscriber for Watch<'_, '_> {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let mut fds = vec![
            (self.shared.ended.as_raw_fd(), ENDED),
            (self.limit.as_raw_fd(), LIMIT),
            (self.signals.0.as_raw_fd(), SIGNAL),
            (self.shared.room.as_raw_fd(), ROOM),
        ];
        for (cpu, peer) in self.shared.peers.iter().enumerate() {
            let timer = peer.timer.lock().unwrap_or_else(PoisonError::into_inner);
            fds.push((timer.as_raw_fd(), TIMER + cpu as u32));
        }
        for (fd, data) in fds {
            if let Err(e) = ops.add(Events::with_data_raw(fd, data, EventSet::IN)) {
                self.shared
                    .end(Ending::Crash(format!("watching a descriptor: {e}")));
            }
        }
        self.watch_input(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        match events.data() {
            ENDED => {}
            LIMIT => self.shared.end(Ending::TimeLimit),
            SIGNAL => {
                if let Some(signal) = self.signals.take() {
                    self.shared.end(Ending::Signal(signal));
                }
            }
            INPUT => self.take_input(ops),
            ROOM => {
                // It was readable, and nobody else reads it.
                let _ = self.shared.room.read();
                match self.watched {
                    Watched::Yes => {}
                    Watched::Paused => self.watch_input(ops),
                    Watched::Never => self.take_file(),
                }
            }
            timer => self.timer(timer.saturating_sub(TIMER) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// It had expired, and was set anew before it was read.
    #[test]
    fn a_timer_set_anew_holds_nobody() {
        let (done, seen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut timer = timer().expect("a timer");
            timer.reset(Duration::from_secs(3600), None).expect("set");
            drain(&timer);
            done.send(()).expect("waited for");
        });
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(()));
    }
}
