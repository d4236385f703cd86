//! Event channels, two-level: which port is bound to what, and how an event becomes a bit in the
//! shared page, a selector bit and an upcall.
//!
//! Owns the port table; the pending and mask bits live in guest memory, where the guest changes
//! them at any moment, so each is set by an atomic operation. Goes out: the mask of vCPUs that got
//! something to do.

use hypercalls::event::{NR_EVENT_CHANNELS, NR_VIRQS};
use hypercalls::{DomId, Errno};

/// What a port is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// Nothing: closed.
    #[default]
    Closed,
    /// The builder's, for a service of the host (xenstore, console): notifying it tells the host.
    Host,
    /// Waits for that domain to bind.
    Unbound(DomId),
    /// A virtual interrupt.
    Virq(u32),
    /// An inter-processor interrupt.
    Ipi,
}

/// One port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// What it is bound to.
    pub binding: Binding,
    /// The vCPU that receives.
    pub vcpu: u32,
}

/// A domain's ports.
#[derive(Clone, Debug)]
pub struct Events {
    ports: Vec<Port>,
    virqs: Vec<[u32; NR_VIRQS as usize]>,
}

impl Events {
    /// No port bound, `cpus` vCPUs.
    #[must_use]
    pub fn new(cpus: usize) -> Events {
        Events {
            ports: vec![Port::default()],
            virqs: vec![[0; NR_VIRQS as usize]; cpus],
        }
    }

    /// Binds the lowest closed port. Port 0 is never given out.
    ///
    /// # Errors
    /// ENOSPC if all are in use.
    pub fn bind(&mut self, binding: Binding, vcpu: u32) -> Result<u32, Errno> {
        let port = Port { binding, vcpu };
        let closed = |p: &Port| p.binding == Binding::Closed;
        if let Some(i) = self.ports.iter().skip(1).position(closed) {
            self.ports[i + 1] = port;
            return Ok(i as u32 + 1);
        }
        if self.ports.len() >= NR_EVENT_CHANNELS as usize {
            return Err(Errno::ENOSPC);
        }
        self.ports.push(port);
        Ok(self.ports.len() as u32 - 1)
    }

    /// Binds a virtual interrupt on a vCPU.
    ///
    /// # Errors
    /// EEXIST if it is bound there, EINVAL if there is no such interrupt.
    pub fn bind_virq(&mut self, virq: u32, vcpu: u32) -> Result<u32, Errno> {
        match self.virq(virq, vcpu) {
            Some(0) => {}
            Some(_) => return Err(Errno::EEXIST),
            None => return Err(Errno::EINVAL),
        }
        let port = self.bind(Binding::Virq(virq), vcpu)?;
        self.virqs[vcpu as usize][virq as usize] = port;
        Ok(port)
    }

    /// The port a virtual interrupt of a vCPU is bound to; 0 none; `None` no such interrupt.
    #[must_use]
    pub fn virq(&self, virq: u32, vcpu: u32) -> Option<u32> {
        self.virqs.get(vcpu as usize)?.get(virq as usize).copied()
    }

    /// The port of that number, if it can have one.
    #[must_use]
    pub fn port(&self, port: u32) -> Option<Port> {
        if port >= NR_EVENT_CHANNELS {
            return None;
        }
        Some(self.ports.get(port as usize).copied().unwrap_or_default())
    }

    /// Moves a port's delivery to another vCPU.
    pub fn set_vcpu(&mut self, port: u32, vcpu: u32) {
        if let Some(p) = self.ports.get_mut(port as usize) {
            p.vcpu = vcpu;
        }
    }

    /// Closes a port; what it was.
    pub fn close(&mut self, port: u32) -> Port {
        let Some(slot) = self.ports.get_mut(port as usize) else {
            return Port::default();
        };
        let was = std::mem::take(slot);
        if let Binding::Virq(virq) = was.binding {
            self.virqs[was.vcpu as usize][virq as usize] = 0;
        }
        was
    }

    /// Every port that is bound.
    pub fn bound(&self) -> impl Iterator<Item = u32> {
        let bound = |(i, p): (usize, &Port)| (p.binding != Binding::Closed).then_some(i as u32);
        self.ports.iter().enumerate().filter_map(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_out_lowest_first_and_never_zero() {
        let mut e = Events::new(1);
        assert_eq!(e.bind(Binding::Ipi, 0), Ok(1));
        assert_eq!(e.bind_virq(3, 0), Ok(2));
        assert_eq!(e.bind_virq(3, 0), Err(Errno::EEXIST));
        assert_eq!(e.bind_virq(NR_VIRQS, 0), Err(Errno::EINVAL));
        assert_eq!(e.bind_virq(0, 1), Err(Errno::EINVAL));
        e.close(2);
        assert_eq!(e.bind_virq(3, 0), Ok(2));
        for _ in 3..NR_EVENT_CHANNELS {
            e.bind(Binding::Ipi, 0).expect("a free port");
        }
        assert_eq!(e.bind(Binding::Ipi, 0), Err(Errno::ENOSPC));
        assert_eq!(e.port(NR_EVENT_CHANNELS), None);
        assert_eq!(e.bound().count(), NR_EVENT_CHANNELS as usize - 1);
    }
}
