//! Event channels without a CPU: the same bindings, the same pending bits, an upcall frame in the
//! domain's memory, and `iret` back.

use super::Direct;
use crate::domain::Step;
use crate::{hypercall, trap};
use hypercalls::callback::{
    CALLBACKF_MASK_EVENTS, CALLBACKOP_REGISTER, CALLBACKTYPE_EVENT, CallbackRegister,
};
use hypercalls::event::{
    BindIpi, BindVirq, EVTCHNOP_BIND_IPI, EVTCHNOP_BIND_VIRQ, EVTCHNOP_SEND, EVTCHNOP_UNMASK,
    PortArg, VIRQ_TIMER,
};
use hypercalls::shared_info::{EVTCHN_MASK_OFFSET, EVTCHN_PENDING_OFFSET, VcpuInfo};
use hypercalls::version::XENVER_VERSION;
use hypercalls::{Maddr, Nr, Vaddr};
use std::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The ports the guest uses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ports {
    timer: u32,
    ipi: u32,
}

/// Bytes of the upcall frame below rip: rcx and r11.
const BELOW_RIP: u64 = 16;
/// Bytes that `iret` pops before rip: rax, r11, rcx, flags.
const IRET_BELOW_RIP: u64 = 32;

impl Direct<'_> {
    pub(super) fn bind_events(&self) {
        let cpu = self.cpu.get();
        let address = self.domain.borrow().layout.virt_base.0;
        let (kind, flags) = (CALLBACKTYPE_EVENT, CALLBACKF_MASK_EVENTS);
        let mut entry = CallbackRegister {
            kind,
            flags,
            pad: 0,
            address,
        };
        self.op(Nr::CallbackOp, CALLBACKOP_REGISTER, &mut entry);
        let mut timer = BindVirq {
            virq: VIRQ_TIMER,
            vcpu: cpu as u32,
            port: 0,
        };
        self.op(Nr::EventChannelOp, EVTCHNOP_BIND_VIRQ, &mut timer);
        let mut ipi = BindIpi {
            vcpu: cpu as u32,
            port: 0,
        };
        self.op(Nr::EventChannelOp, EVTCHNOP_BIND_IPI, &mut ipi);
        self.ports[cpu].set(Ports {
            timer: timer.port,
            ipi: ipi.port,
        });
        for port in [timer.port, ipi.port] {
            self.op(Nr::EventChannelOp, EVTCHNOP_UNMASK, &mut PortArg { port });
        }
        self.domain.borrow_mut().mask_upcalls(cpu, false);
    }

    fn op<T: IntoBytes + FromBytes + Immutable>(&self, nr: Nr, cmd: u32, arg: &mut T) {
        if self.with_block(nr, [u64::from(cmd), 0, 0, 0, 0], 1, arg.as_mut_bytes()) != 0 {
            self.note(&Step::Shutdown(u32::MAX));
        }
    }

    pub(super) fn send_ipi(&self) {
        self.op(
            Nr::EventChannelOp,
            EVTCHNOP_SEND,
            &mut PortArg {
                port: self.ports[self.cpu.get()].get().ipi,
            },
        );
    }

    /// Any hypercall will do: what waits is delivered on return.
    pub(super) fn force_upcall(&self) {
        self.trap(Nr::XenVersion, [u64::from(XENVER_VERSION), 0, 0, 0, 0]);
    }

    /// Delivers the upcall, handles it as the kernel does, and returns from it.
    pub(super) fn upcall(&self) {
        let cpu = self.cpu.get();
        let step = trap::deliver_upcall(
            &mut self.domain.borrow_mut(),
            cpu,
            &mut self.regs.borrow_mut(),
        );
        self.note(&step);
        let frame = Vaddr(self.regs.borrow().rsp);
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        let ports = self.ports[self.cpu.get()].get();
        for port in self.take_ports(cpu) {
            if port == ports.timer {
                kernel.timer_interrupt();
            } else if port == ports.ipi {
                kernel.ipi_interrupt();
            }
        }
        kernel.preempt_schedule_irq();
        self.iret(frame);
    }

    /// Clears the upcall flag and takes the ports that wait, in the two-level order.
    fn take_ports(&self, cpu: usize) -> Vec<u32> {
        let dom = self.domain.borrow();
        let take = |at: Maddr, keep: u64| {
            let held = dom.memory.read_u64(at).unwrap_or(0);
            // The shared page is memory: if it can be read it can be written.
            let _ = dom.memory.write_u64(at, held & keep);
            held & !keep
        };
        let info = dom.vcpus[cpu].info;
        let mask_byte = 0xff << 8;
        take(info, mask_byte);
        let selected = take(info.add(offset_of!(VcpuInfo, evtchn_pending_sel) as u64), 0);
        let words = (0..64).filter(|word| selected >> word & 1 == 1);
        words
            .flat_map(|word| {
                let mask = dom.shared_info.add(EVTCHN_MASK_OFFSET + 8 * word);
                let masked = dom.memory.read_u64(mask).unwrap_or(0);
                let ports = take(
                    dom.shared_info.add(EVTCHN_PENDING_OFFSET + 8 * word),
                    masked,
                );
                (0..64u32)
                    .filter(move |bit| ports >> bit & 1 == 1)
                    .map(move |bit| word as u32 * 64 + bit)
            })
            .collect()
    }

    /// From an upcall frame at `frame`: leaves above it what `iret` pops, and makes that call.
    fn iret(&self, frame: Vaddr) {
        let (rax, mut rcx_r11) = (self.regs.borrow().rax, [0u64; 2]);
        self.get(frame, rcx_r11.as_mut_bytes());
        let at = frame.add(BELOW_RIP).add(IRET_BELOW_RIP.wrapping_neg());
        let [rcx, r11] = rcx_r11;
        self.put(at, [rax, r11, rcx, 0].as_bytes());
        let mut regs = self.regs.borrow_mut();
        (regs.rax, regs.rsp) = (Nr::Iret as u64, at.0);
        let step = hypercall::syscall(&mut self.domain.borrow_mut(), self.cpu.get(), &mut regs);
        drop(regs);
        self.note(&step);
    }
}
