//! From an event to an upcall: pending bit → selector bit → upcall flag → kick.
//!
//! The bits are the guest's memory too; each step is one atomic operation and goes on only if it
//! set a bit that was clear, as the guest's own side expects.

use super::{Binding, Domain, State, Wait};
use hypercalls::Maddr;
use hypercalls::shared_info::{EVTCHN_MASK_OFFSET, EVTCHN_PENDING_OFFSET, VcpuInfo};
use std::mem::offset_of;

const UPCALL_PENDING: u64 = offset_of!(VcpuInfo, evtchn_upcall_pending) as u64;
const UPCALL_MASK: u64 = offset_of!(VcpuInfo, evtchn_upcall_mask) as u64;
const PENDING_SEL: u64 = offset_of!(VcpuInfo, evtchn_pending_sel) as u64;

impl Domain {
    /// An event for a bound port. An unbound one is ignored.
    pub fn notify(&mut self, port: u32) {
        let Some(bound) = self.events.port(port) else {
            return;
        };
        if bound.binding == Binding::Closed {
            return;
        }
        self.stats.counters.events += 1;
        let word = u64::from(port / 64);
        let bit = 1 << (port % 64);
        let fresh = self.set_bits(self.shared_info.add(EVTCHN_PENDING_OFFSET + word * 8), bit);
        if fresh {
            self.select(port, bound.vcpu as usize);
        }
        self.wake_pollers(port);
    }

    /// A virtual interrupt of a vCPU, if bound.
    pub fn raise_virq(&mut self, virq: u32, cpu: usize) {
        if let Some(port) = self.events.virq(virq, cpu as u32)
            && port != 0
        {
            self.notify(port);
        }
    }

    /// The guest unmasked a port: clears its mask bit and delivers what waits.
    pub fn unmask(&mut self, port: u32) {
        let Some(bound) = self.events.port(port) else {
            return;
        };
        let (word, bit) = (u64::from(port / 64), 1u64 << (port % 64));
        let was = self.clear_bits(self.shared_info.add(EVTCHN_MASK_OFFSET + word * 8), bit);
        if was && self.is_pending(port) {
            self.select(port, bound.vcpu as usize);
        }
    }

    /// Whether a port's pending bit is set.
    #[must_use]
    pub fn is_pending(&self, port: u32) -> bool {
        self.bit(EVTCHN_PENDING_OFFSET, port)
    }

    /// Clears a port's pending bit: it is closed.
    pub fn clear_pending(&mut self, port: u32) {
        let at = EVTCHN_PENDING_OFFSET + u64::from(port / 64) * 8;
        self.clear_bits(self.shared_info.add(at), 1 << (port % 64));
    }

    /// Sets a vCPU's upcall flag, and tells it.
    pub fn mark_upcall(&mut self, cpu: usize) {
        let Some(v) = self.vcpus.get(cpu) else {
            return;
        };
        // A registered vcpu_info holds a reference: its frame stays memory.
        let _ = self.memory.write(v.info.add(UPCALL_PENDING), &[1]);
        self.kicks |= 1 << cpu;
    }

    /// Tells a vCPU that something it must look at has changed.
    pub fn kick(&mut self, cpu: usize) {
        self.kicks |= 1 << cpu;
    }

    /// A vCPU's wait is over, or it comes up: it runs.
    pub fn resume(&mut self, cpu: usize) {
        self.vcpus[cpu].wait = None;
        self.enter_state(cpu, State::Running);
    }

    /// Whether an upcall is due on a vCPU.
    #[must_use]
    pub fn upcall_due(&self, cpu: usize) -> bool {
        self.info_byte(cpu, UPCALL_PENDING) != 0 && !self.upcalls_masked(cpu)
    }

    /// The virtual interrupt flag, inverted.
    #[must_use]
    pub fn upcalls_masked(&self, cpu: usize) -> bool {
        self.info_byte(cpu, UPCALL_MASK) != 0
    }

    /// Sets the virtual interrupt flag, inverted.
    pub fn mask_upcalls(&mut self, cpu: usize, masked: bool) {
        let at = self.vcpus[cpu].info.add(UPCALL_MASK);
        let _ = self.memory.write(at, &[u8::from(masked)]);
    }

    /// Whether what a vCPU waits for is there; a vCPU that waits for nothing is ready.
    #[must_use]
    pub fn is_ready(&self, cpu: usize, now: u64) -> bool {
        match &self.vcpus[cpu].wait {
            None => true,
            Some(_) if self.vcpus[cpu].nmi_due() => true,
            Some(Wait::Event) => self.upcall_due(cpu),
            Some(Wait::Poll { ports, until }) => {
                let over = until.is_some_and(|at| at <= now);
                over || self.upcall_due(cpu) || ports.iter().any(|&p| self.is_pending(p))
            }
        }
    }

    fn select(&mut self, port: u32, cpu: usize) {
        if self.bit(EVTCHN_MASK_OFFSET, port) {
            return;
        }
        let Some(v) = self.vcpus.get(cpu) else {
            return;
        };
        if self.set_bits(v.info.add(PENDING_SEL), 1 << (port / 64)) {
            self.mark_upcall(cpu);
        }
    }

    fn wake_pollers(&mut self, port: u32) {
        for (cpu, v) in self.vcpus.iter().enumerate() {
            if matches!(&v.wait, Some(Wait::Poll { ports, .. }) if ports.contains(&port)) {
                self.kicks |= 1 << cpu;
            }
        }
    }

    fn bit(&self, offset: u64, port: u32) -> bool {
        let at = self.shared_info.add(offset + u64::from(port / 64) * 8);
        self.memory
            .read_u64(at)
            .is_ok_and(|word| word >> (port % 64) & 1 != 0)
    }

    fn info_byte(&self, cpu: usize, offset: u64) -> u8 {
        let mut byte = [0];
        match self
            .memory
            .read(self.vcpus[cpu].info.add(offset), &mut byte)
        {
            Ok(()) => byte[0],
            Err(_) => 0,
        }
    }

    /// Sets bits; whether one of them was clear.
    fn set_bits(&self, at: Maddr, bits: u64) -> bool {
        self.update(at, |word| word | bits)
    }

    /// Clears bits; whether one of them was set.
    fn clear_bits(&self, at: Maddr, bits: u64) -> bool {
        self.update(at, |word| word & !bits)
    }

    /// One atomic change of a word of a page that is ours or referenced; whether it changed.
    fn update(&self, at: Maddr, change: impl Fn(u64) -> u64) -> bool {
        let Ok(mut old) = self.memory.read_u64(at) else {
            return false;
        };
        loop {
            let new = change(old);
            match self.memory.compare_exchange_u64(at, old, new) {
                Ok(Ok(_)) => return new != old,
                Ok(Err(seen)) => old = seen,
                Err(_) => return false,
            }
        }
    }
}
