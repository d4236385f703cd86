//! Event upcalls that have nowhere to go, and storms of them (XSA-188, 221, 317, 343).

use crate::judge::{
    ENTRY, MOMENT, NOT_CANONICAL, NOWHERE, ended, grew_less_than, must_crash, must_run_on, resident,
};
use hypercalls::Nr;
use hypercalls::event::*;
use hypercalls::sched::*;
use tests::asm::{Asm, Reg::*};
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, data, put, return_from_fault};

/// Registers the event callback at `callback` and unmasks upcalls with an event pending.
fn upcall_at(a: &mut Asm, callback: u64, rsp: u64) {
    a.hypercall(Nr::SetCallbacks, &[callback, 0, 0]);
    a.hypercall(
        Nr::EventChannelOp,
        &[u64::from(EVTCHNOP_BIND_VIRQ), data(0)],
    );
    a.hypercall(
        Nr::EventChannelOp,
        &[u64::from(EVTCHNOP_UNMASK), data(0) + 8],
    );
    a.mov(Rsp, rsp).hypercall(Nr::SetTimerOp, &[1]);
    a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)]).spin();
}

pub(crate) fn has_no_stack_for_an_upcall() -> Checked {
    for rsp in [
        0,
        8,
        NOWHERE,
        NOT_CANONICAL,
        u64::MAX,
        ENTRY + 0x1800,
        ENTRY + 0x3000,
    ] {
        let guest = Tiny::new(|a| upcall_at(a, data(1), rsp));
        must_crash(guest, "cannot be pushed")?;
    }
    // Onto a page table.
    let guest = Tiny::new(|a| {
        a.load(R15, Rsi, 88).bytes(&[0x49, 0x81, 0xc7, 0, 8, 0, 0]);
        a.hypercall(Nr::SetCallbacks, &[data(1), 0, 0]);
        a.hypercall(
            Nr::EventChannelOp,
            &[u64::from(EVTCHNOP_BIND_VIRQ), data(0)],
        );
        a.hypercall(
            Nr::EventChannelOp,
            &[u64::from(EVTCHNOP_UNMASK), data(0) + 8],
        );
        a.copy(Rsp, R15).hypercall(Nr::SetTimerOp, &[1]);
        a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)]).spin();
    });
    must_crash(guest, "cannot be pushed")
}

pub(crate) fn has_no_callback() -> Checked {
    must_crash(
        Tiny::new(|a| upcall_at(a, 0, data(40))),
        "no event callback",
    )?;
    must_crash(
        Tiny::new(|a| upcall_at(a, NOWHERE, data(40))),
        "exception 14",
    )?;
    // Upcalls into the hypervisor's own entry page.
    ended(Tiny::new(|a| upcall_at(a, ENTRY, data(40))), MOMENT).map(drop)
}

pub(crate) fn storms_itself_with_events() -> Checked {
    let outcome = must_run_on(
        Tiny::new(|a| {
            let start = a.label();
            a.jmp(start);
            // The upcall's handler, at CODE + 5.
            return_from_fault(a, false);
            a.bind(start)
                .mov(Rsp, data(40))
                .hypercall(Nr::SetCallbacks, &[CODE + 5, 0, 0]);
            a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_IPI), data(1)]);
            a.hypercall(
                Nr::EventChannelOp,
                &[u64::from(EVTCHNOP_UNMASK), data(1) + 4],
            );
            let again = a.mark();
            a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_SEND), data(1) + 4]);
            a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)])
                .jmp(again);
        })
        .data(|dom| put(dom, data(1), &[0])),
    )?;
    assert!(outcome.domain.stats.counters.upcalls > 100);
    // Every port there is, again and again, and a reset of all.
    let before = resident();
    must_run_on(Tiny::new(|a| {
        let again = a.mark();
        a.mov(Rbx, 5000);
        let bind = a.mark();
        a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_IPI), data(1)]);
        a.dec(Rbx).jnz(bind);
        a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_RESET), data(2)])
            .jmp(again);
    }))?;
    grew_less_than(16, before);
    Ok(())
}
