//! The other vCPUs: given a state by the hypercalls a kernel makes for it, on the first one's
//! tables. There is one stack for all, since only one of them runs at a time.

use super::Direct;
use crate::domain::Step;
use hypercalls::Nr;
use hypercalls::trap::{FLAT_DS, FLAT_KERNEL_CS};
use hypercalls::vcpu::{
    CpuUserRegs, VCPUOP_INITIALISE, VCPUOP_UP, VGCF_IN_KERNEL, VcpuGuestContext, xen_pfn_to_cr3,
};
use zerocopy::{FromZeros, IntoBytes};

impl Direct<'_> {
    /// Brings `cpu` up and binds its events.
    pub(super) fn bring_up(&self, cpu: usize) {
        let mut context = self.first_state();
        let args = |op| [u64::from(op), cpu as u64, 0, 0, 0];
        let initialised = self.with_block(
            Nr::VcpuOp,
            args(VCPUOP_INITIALISE),
            2,
            context.as_mut_bytes(),
        );
        if initialised != 0 || self.trap(Nr::VcpuOp, args(VCPUOP_UP)) != 0 {
            return self.note(&Step::Shutdown(u32::MAX));
        }
        let here = self.cpu.replace(cpu);
        self.bind_events();
        self.cpu.set(here);
    }

    fn first_state(&self) -> VcpuGuestContext {
        let regs = self.regs.borrow();
        let mut context = VcpuGuestContext::new_zeroed();
        context.flags = VGCF_IN_KERNEL;
        context.user_regs = CpuUserRegs {
            rip: regs.rip,
            rsp: regs.rsp,
            cs: FLAT_KERNEL_CS,
            ss: u64::from(FLAT_DS),
            ..CpuUserRegs::default()
        };
        let root = self.domain.borrow().vcpus[self.cpu.get()].kernel_base;
        context.ctrlreg[3] = xen_pfn_to_cr3(root.0);
        context
    }
}
