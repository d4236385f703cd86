//! What a domain's threads share: the domain behind its one lock, the kicks, the flushes asked of
//! other vCPUs, and the end.
//!
//! Order for a remote flush: the asker sets the target's flag, then waits until the target is
//! outside the guest; the target declares itself inside, then looks at the flag. So either the
//! target sees the flag before it enters, or the asker sees it inside and kicks it.

use super::console::Sink;
use super::kick::Kicker;
use super::watch;
use crate::domain::Domain;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

/// One vCPU as other threads see it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its thread, from its first entry until it ends.
    kicker: Mutex<Option<Kicker>>,
    /// It may be running guest code.
    inside: AtomicBool,
    /// It must flush before it runs guest code again.
    flush: AtomicBool,
    /// Until when kicks by other vCPUs are left out, in ns of [`Shared::since`].
    quiet_until: AtomicU64,
    /// Fires when its next timer is due, or when a kick must be repeated.
    pub(super) timer: Mutex<TimerFd>,
}

/// How a domain's run ended.
#[derive(Debug)]
pub enum Ending {
    /// It asked to end, with one of `hypercalls::sched::SHUTDOWN_*`.
    Shutdown(u32),
    /// It could not go on; the dump.
    Crash(String),
    /// The time given was over.
    TimeLimit,
    /// A signal asked the VMM to end.
    Signal(i32),
    /// The user did, at the console.
    Quit,
}

/// Everything a domain's threads share.
pub(super) struct Shared<'o> {
    domain: Mutex<Domain>,
    /// Signalled whenever a blocked vCPU may have become ready.
    wake: Condvar,
    pub(super) peers: Vec<Peer>,
    ending: Mutex<Option<Ending>>,
    stop: AtomicBool,
    /// When this was made.
    since: Instant,
    /// Where console output goes as it comes.
    pub(super) output: Mutex<Sink<'o>>,
    /// Readable once the domain has ended.
    pub(super) ended: EventFd,
    /// Readable once there is room again for input that waits.
    pub(super) room: EventFd,
}

impl<'o> Shared<'o> {
    pub(super) fn new(domain: Domain, output: Sink<'o>) -> std::io::Result<Shared<'o>> {
        let peer = |_| {
            Ok(Peer {
                kicker: Mutex::new(None),
                inside: AtomicBool::new(false),
                flush: AtomicBool::new(false),
                quiet_until: AtomicU64::new(0),
                timer: Mutex::new(watch::timer()?),
            })
        };
        Ok(Shared {
            peers: (0..domain.vcpus.len())
                .map(peer)
                .collect::<std::io::Result<_>>()?,
            domain: Mutex::new(domain),
            wake: Condvar::new(),
            ending: Mutex::new(None),
            stop: AtomicBool::new(false),
            since: Instant::now(),
            output: Mutex::new(output),
            ended: EventFd::new(libc::EFD_NONBLOCK)?,
            room: EventFd::new(libc::EFD_NONBLOCK)?,
        })
    }

    /// The domain. A thread that panicked with it left it consistent enough to be reported.
    pub(super) fn lock(&self) -> MutexGuard<'_, Domain> {
        self.domain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the domain back once all threads are gone.
    pub(super) fn into_parts(self) -> (Domain, Option<Ending>) {
        let domain = self
            .domain
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (
            domain,
            self.ending
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends the domain; the first ending counts. All vCPUs leave the guest.
    pub(super) fn end(&self, ending: Ending) {
        self.ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(ending);
        self.stop.store(true, Ordering::Release);
        // A full counter is readable too: nothing is lost if this cannot be written.
        let _ = self.ended.write(1);
        self.wake.notify_all();
        for cpu in 0..self.peers.len() {
            self.kick(cpu);
        }
    }

    /// The calling thread runs vCPU `cpu` from now on (`Some`), or no more.
    pub(super) fn register(&self, cpu: usize, kicker: Option<Kicker>) {
        *self.peers[cpu]
            .kicker
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = kicker;
    }

    /// Makes vCPU `cpu` leave the guest, or wake up.
    pub(super) fn kick(&self, cpu: usize) {
        let Some(peer) = self.peers.get(cpu) else {
            return;
        };
        let kicker = peer.kicker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kicker) = *kicker {
            kicker.kick();
        }
        drop(kicker);
        self.wake.notify_all();
    }

    /// Kicks every vCPU of `mask` but `but`, and those that have some quiet.
    pub(super) fn kick_mask(&self, mask: u64, but: usize) {
        for cpu in (0..self.peers.len()).filter(|&cpu| cpu != but && mask >> cpu & 1 == 1) {
            if !self.is_quiet(cpu) {
                self.kick(cpu);
            }
        }
    }

    /// Has nobody else kick vCPU `cpu`, the calling thread's, for so long, and the timer after it:
    /// what kicks were about is seen to then. The domain's end does not wait.
    pub(super) fn quiet(&self, cpu: usize, time: Duration) {
        let until = self.ns().saturating_add(time.as_nanos() as u64);
        self.peers[cpu].quiet_until.store(until, Ordering::SeqCst);
        self.arm(cpu, time);
    }

    fn is_quiet(&self, cpu: usize) -> bool {
        self.ns() < self.peers[cpu].quiet_until.load(Ordering::SeqCst)
    }

    fn ns(&self) -> u64 {
        self.since.elapsed().as_nanos() as u64
    }

    /// Makes the other vCPUs of `mask` flush before they run guest code again, and waits until
    /// none of them runs what it had cached.
    pub(super) fn flush_others(&self, mask: u64, but: usize) {
        let others = || (0..self.peers.len()).filter(move |&c| c != but && mask >> c & 1 == 1);
        for cpu in others() {
            self.peers[cpu].flush.store(true, Ordering::SeqCst);
        }
        for cpu in others() {
            while self.peers[cpu].inside.load(Ordering::SeqCst)
                && self.peers[cpu].flush.load(Ordering::SeqCst)
            {
                self.kick_mask(1 << cpu, but);
                std::thread::sleep(Duration::from_micros(5));
            }
        }
    }

    /// vCPU `cpu` is about to enter; whether it must flush first.
    pub(super) fn entering(&self, cpu: usize) -> bool {
        self.peers[cpu].inside.store(true, Ordering::SeqCst);
        self.peers[cpu].flush.swap(false, Ordering::SeqCst)
    }

    /// vCPU `cpu` has left the guest.
    pub(super) fn left(&self, cpu: usize) {
        self.peers[cpu].inside.store(false, Ordering::SeqCst);
    }

    /// Waits, the domain unlocked, until something may have changed.
    pub(super) fn wait<'a>(
        &self,
        domain: MutexGuard<'a, Domain>,
        at_most: Duration,
    ) -> MutexGuard<'a, Domain> {
        match self.wake.wait_timeout(domain, at_most) {
            Ok((domain, _)) => domain,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Has `cpu`'s timer fire in `after`.
    pub(super) fn arm(&self, cpu: usize, after: Duration) {
        let mut timer = self.peers[cpu]
            .timer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A zero would disarm it. The descriptor is ours and the value valid: it cannot fail.
        let _ = timer.reset(after.max(Duration::from_nanos(1)), None);
    }
}
