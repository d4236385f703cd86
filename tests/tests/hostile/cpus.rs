//! vCPUs started with garbage, and two that work against each other.

use crate::judge::{ENTRY, MOMENT, NOWHERE, SELF, ended, must_run_on};
use hypercalls::Nr;
use hypercalls::mmu::*;
use hypercalls::sched::*;
use hypercalls::vcpu::*;
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, context, data, free_frame, put, table_frame};

pub(crate) fn starts_vcpus_with_garbage() -> Checked {
    use std::mem::offset_of;
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let flags = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rflags);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    for at in [0, NOWHERE, data(2), ENTRY, ENTRY + 0x2000, CODE] {
        for table in 0..3u64 {
            let guest = Tiny::new(|a| {
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
                a.hypercall(Nr::SetTimerOp, &[1]).mov(Rbx, 300);
                let again = a.mark();
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_DOWN), 1, 0]);
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
                a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_YIELD)]);
                a.dec(Rbx).jnz(again).power_off();
            });
            let guest = guest.cpus(2).data(move |dom| {
                let root = [table_frame(dom, 0), table_frame(dom, 1), free_frame(dom, 0)];
                let cr3_value = root[table as usize].maddr().0;
                context(
                    dom,
                    &[
                        (rip, at),
                        (rsp, u64::MAX),
                        (flags, u64::MAX),
                        (cr3, cr3_value),
                    ],
                );
                put(dom, data(2), &[0xfeeb; 8]);
            });
            ended(guest, MOMENT)?;
        }
    }
    Ok(())
}

/// Two vCPUs that flush each other without end, pin and unpin the same frames.
pub(crate) fn flushes_the_other_vcpu() -> Checked {
    use std::mem::offset_of;
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let mut second = 0;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        second = a.here();
        let again = a.mark();
        a.hypercall(Nr::MmuextOp, &[data(1), 4, 0, SELF]).jmp(again);
        a.bind(start)
            .hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0])
            .jmp(again);
    });
    let guest = guest.cpus(2).data(move |dom| {
        let l4 = table_frame(dom, 0).maddr().0;
        context(dom, &[(rip, second), (rsp, data(40)), (cr3, l4)]);
        let frame = free_frame(dom, 0).0;
        let ops = [
            [u64::from(MMUEXT_TLB_FLUSH_ALL), 0, 0],
            [u64::from(MMUEXT_INVLPG_ALL), CODE, 0],
            [u64::from(MMUEXT_PIN_L1_TABLE), frame, 0],
            [u64::from(MMUEXT_UNPIN_TABLE), frame, 0],
        ];
        put(dom, data(1), ops.as_flattened());
    });
    let outcome = must_run_on(guest)?;
    assert!(outcome.domain.stats.calls_of(Nr::MmuextOp) > 20);
    Ok(())
}
