//! A write that races with the page becoming a table (XSA-401).

use crate::judge::{SELF, ended};
use hypercalls::Nr;
use hypercalls::mmu::*;
use hypercalls::sched::*;
use hypercalls::trap::{FLAT_KERNEL_CS, PF};
use hypercalls::vcpu::*;
use std::time::Duration;
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, context, data, data_frame, put, return_from_fault, table_frame};
use xenlet::kvm::Ending;

/// XSA-401: one vCPU writes to a page without pause while the other, in one trap, takes the writable
/// mapping away and makes the page a table. What is written must not get into the live table.
pub(crate) fn writes_to_a_page_that_becomes_a_table() -> Checked {
    use std::mem::offset_of;
    let user = |at| offset_of!(VcpuGuestContext, user_regs) + at;
    let (rip, rsp) = (offset_of!(CpuUserRegs, rip), offset_of!(CpuUserRegs, rsp));
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let traps = offset_of!(VcpuGuestContext, trap_ctxt) + 16 * usize::from(PF);
    const LAST: i32 = 8 * 511;
    const CLEARS: u64 = 160;
    let page = data(50);
    let mut second = 0;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        // The other vCPU's page-fault handler, at CODE + 5: the write is tried again.
        return_from_fault(a, true);
        second = a.here();
        // Empty, present, empty, ...: the page can be a table half of the time.
        a.mov(Rbx, page).mov(Rcx, 0).load(Rax, Rbx, 0x1000);
        let write = a.mark();
        a.store(Rcx, Rbx, LAST).store(Rax, Rbx, LAST).jmp(write);
        a.bind(start)
            .hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0])
            .mov(Rbx, 20_000);
        let again = a.mark();
        // Read-only and pinned, and a while; what the table holds then; unpinned and writable.
        a.hypercall(Nr::Multicall, &[data(1), 3]);
        // One more in counts[refused][present]: whether it became none, and what it holds.
        a.mov(R8, data(1))
            .load(R13, R8, 72)
            .mov(R8, page)
            .load(R12, R8, LAST);
        // and $1,%r12d; test %r13,%r13; setnz %r13b; movzbl %r13b,%r13
        a.bytes(&[0x41, 0x83, 0xe4, 1, 0x4d, 0x85, 0xed]);
        a.bytes(&[0x41, 0x0f, 0x95, 0xc5, 0x4d, 0x0f, 0xb6, 0xed]);
        // lea (%r12,%r13,2),%rax; incq (%r8,%rax,8)
        a.bytes(&[0x4b, 0x8d, 0x04, 0x6c])
            .mov(R8, data(2))
            .bytes(&[0x49, 0xff, 0x04, 0xc0]);
        a.hypercall(Nr::Multicall, &[data(1) + 192, 2])
            .dec(Rbx)
            .jnz(again)
            .power_off();
    });
    let guest = guest.cpus(2).data(move |dom| {
        let l4 = table_frame(dom, 0).maddr().0;
        context(
            dom,
            &[(user(rip), second), (user(rsp), data(40)), (cr3, l4)],
        );
        let handler = u64::from(PF) | u64::from(FLAT_KERNEL_CS) << 16;
        put(dom, data(4) + traps as u64, &[handler, CODE + 5]);
        let frame = data_frame(dom, 50);
        // A frame of the hypervisor's, writable.
        put(dom, page + 0x1000, &[0x67]);
        let at = |flags| frame.maddr().0 | flags;
        let va = Nr::UpdateVaMapping as u64;
        let ext = Nr::MmuextOp as u64;
        let calls = [
            [va, 0, page, at(0x61), 0, 0, 0, 0],
            [ext, 0, data(3), 1, 0, SELF, 0, 0],
            [ext, 0, data(3) + 48, CLEARS, 0, SELF, 0, 0],
            [ext, 0, data(3) + 24, 1, 0, SELF, 0, 0],
            [va, 0, page, at(0x63), UVMF_INVLPG, 0, 0, 0],
        ];
        put(dom, data(1), calls.as_flattened());
        let pin = [u64::from(MMUEXT_PIN_L1_TABLE), frame.0, 0];
        let unpin = [u64::from(MMUEXT_UNPIN_TABLE), frame.0, 0];
        let clear = [u64::from(MMUEXT_CLEAR_PAGE), data_frame(dom, 49).0, 0];
        let clears = [clear; CLEARS as usize];
        put(
            dom,
            data(3),
            &[&pin[..], &unpin, clears.as_flattened()].concat(),
        );
    });
    let outcome = ended(guest, Duration::from_secs(3))?;
    let ending = &outcome.ending;
    let fine = matches!(
        ending,
        Ending::Shutdown(SHUTDOWN_POWEROFF) | Ending::TimeLimit
    );
    assert!(fine, "{ending:?}");
    let count = |i: u64| {
        let at = data_frame(&outcome.domain, 2).maddr().add(8 * i);
        outcome.domain.memory.read_u64(at).expect("a data page")
    };
    println!(
        "tables with an entry that was written behind the rules: {} of {}",
        count(1),
        count(0) + count(1)
    );
    assert!(
        count(0) > 10 && count(2) + count(3) > 10,
        "nothing was tried"
    );
    assert_eq!(count(1), 0);
    Ok(())
}
