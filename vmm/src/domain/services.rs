//! The host's two services behind event channels: the console's ring and the xenstore's.
//!
//! Comes in: the guest's notification of a port, the user's typing. Goes out: bytes to and from
//! [`Console`](super::Console) and [`Xenstore`], indices and an event for the guest. The frames
//! are held as writable memory from the beginning: they can never become page tables.

use super::Domain;
use super::ring::{Broken, Ring};
use crate::xenstore::{Home, Xenstore};
use hypercalls::console::*;
use hypercalls::xs_wire as xs;
use hypercalls::{Maddr, Mfn};

/// How often requests are taken and answers put for one notification. What is in a ring takes far
/// fewer; what another vCPU adds meanwhile comes with a notification of its own.
const ROUNDS: u32 = 256;

/// A service's page and port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) frame: Mfn,
    pub(super) port: u32,
}

/// Both services.
#[derive(Debug)]
pub struct Services {
    console: Channel,
    store: Channel,
    xenstore: Xenstore,
    /// The guest uses the console's ring: what is typed goes there, not to `console_io`.
    ring_used: bool,
}

impl Services {
    pub(super) fn new(console: Channel, store: Channel, cpus: usize, mem_mib: u64) -> Services {
        let home = Home {
            domid: crate::hypercall::DOMID,
            cpus,
            mem_kib: mem_mib << 10,
            console: (console.frame.0, console.port),
            store: (store.frame.0, store.port),
        };
        Services {
            console,
            store,
            xenstore: Xenstore::new(&home),
            ring_used: false,
        }
    }

    /// The rings' frames.
    pub(super) fn frames(&self) -> [Mfn; 2] {
        [self.console.frame, self.store.frame]
    }
}

fn ring(frame: Mfn, (buffer, size): (u64, usize), indices: u64) -> Ring {
    let page = frame.maddr();
    Ring {
        buffer: page.add(buffer),
        size: size as u32,
        cons: page.add(indices),
        prod: page.add(indices + 4),
    }
}

impl Domain {
    /// The guest notified a port of the host's.
    pub(crate) fn serve(&mut self, port: u32) {
        if port == self.services.console.port {
            self.services.ring_used = true;
            self.serve_console();
        } else if port == self.services.store.port {
            self.serve_store();
        }
    }

    /// The user types.
    pub fn type_in(&mut self, bytes: &[u8]) {
        self.console.type_in(bytes);
        self.serve_console();
    }

    /// Writes a node of the guest's store, e.g. `control/shutdown`.
    pub fn set_store(&mut self, path: &str, value: &str) {
        self.services.xenstore.set(path, value);
        self.serve_store();
    }

    fn serve_console(&mut self) {
        let Channel { frame, port } = self.services.console;
        if !self.services.ring_used {
            return;
        }
        let out = (RING_OUT_OFFSET, RING_OUT_SIZE);
        let out = ring(frame, out, RING_INDICES_OFFSET + 8);
        let input = ring(frame, (RING_IN_OFFSET, RING_IN_SIZE), RING_INDICES_OFFSET);
        // A guest whose indices make no sense has no console until they do.
        let drained = self.drain(out).unwrap_or(false);
        let typed = self.feed(input).unwrap_or(false);
        if drained || typed {
            self.notify(port);
        }
    }

    /// Takes the guest's output; whether it may have waited for room.
    fn drain(&mut self, ring: Ring) -> Result<bool, Broken> {
        let bytes = ring.waiting(&self.memory)?;
        self.console.write(&bytes);
        ring.consume(&self.memory, bytes.len())?;
        Ok(bytes.len() == RING_OUT_SIZE)
    }

    /// Gives the guest what was typed, as far as there is room; whether there was any.
    fn feed(&mut self, ring: Ring) -> Result<bool, Broken> {
        let put = ring.put(&self.memory, self.console.typed())?;
        self.console.read(put);
        Ok(put != 0)
    }

    fn serve_store(&mut self) {
        match self.exchange() {
            Ok(true) => self.notify(self.services.store.port),
            Ok(false) => {}
            Err(Broken) => self.store_error(xs::RING_ERROR_RINGIDX),
        }
        if self.services.xenstore.is_broken() {
            self.store_error(xs::RING_ERROR_PROTO);
        }
    }

    /// Requests in, answers out, until neither goes on or it has been long; whether anything did.
    fn exchange(&mut self) -> Result<bool, Broken> {
        let Channel { frame, .. } = self.services.store;
        let indices = xs::RING_INDICES_OFFSET;
        let requests = ring(frame, (xs::RING_REQ_OFFSET, xs::RING_SIZE), indices);
        let answers = ring(frame, (xs::RING_RSP_OFFSET, xs::RING_SIZE), indices + 8);
        let (memory, xenstore) = (&self.memory, &mut self.services.xenstore);
        let mut any = false;
        for _ in 0..ROUNDS {
            let taken = xenstore.receive(&requests.waiting(memory)?);
            requests.consume(memory, taken)?;
            let sent = answers.put(memory, xenstore.output())?;
            xenstore.sent(sent);
            if taken + sent == 0 {
                break;
            }
            any = true;
        }
        Ok(any)
    }

    fn store_error(&mut self, error: u32) {
        let at: Maddr = self.services.store.frame.maddr().add(xs::RING_ERROR_OFFSET);
        // The frame is held: it is memory.
        let _ = self.memory.write_obj(at, &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    /// Another vCPU fills the requests and empties the answers all the time: the notification is over
    /// nevertheless, and the domain free for others.
    #[test]
    fn a_ring_that_never_runs_dry_is_left() {
        let (mut dom, _) = Domain::bare(5, 2).expect("a small domain");
        let Channel { frame, port } = dom.services.store;
        let (memory, over) = (dom.memory.clone(), AtomicBool::new(false));
        let indices = frame.maddr().add(xs::RING_INDICES_OFFSET);
        let index = |n: u64| memory.read_obj::<u32>(indices.add(4 * n)).expect("memory");
        let set = |n: u64, value: u32| {
            memory
                .write_obj(indices.add(4 * n), &value)
                .expect("memory")
        };
        let limit = Duration::from_secs(5);
        let took = thread::scope(|scope| {
            scope.spawn(|| {
                let start = Instant::now();
                while !over.load(Ordering::Relaxed) && start.elapsed() < limit {
                    // Requests of nothing but zeroes: each is refused.
                    set(1, index(0).wrapping_add(xs::RING_SIZE as u32));
                    set(2, index(3));
                }
            });
            thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            dom.serve(port);
            over.store(true, Ordering::Relaxed);
            start.elapsed()
        });
        assert!(took < limit / 2, "{took:?}");
    }
}
