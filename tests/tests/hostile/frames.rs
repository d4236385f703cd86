//! Exception frames and returns: handlers that fault, `iret` to garbage, single steps over the entry
//! (XSA-7, 212, 260).

use crate::judge::{ENTRY, MOMENT, NOT_CANONICAL, NOWHERE, ended, must_crash, must_run_on};
use hypercalls::Nr;
use hypercalls::trap::PF;
use std::time::Duration;
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, crashed, data, one_handler, put, return_from_fault};
use xenlet::kvm::Ending;

pub(crate) fn faults_in_a_loop() -> Checked {
    // The handler comes first, at a known address.
    let handler = CODE + 5;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        return_from_fault(a, true);
        a.bind(start).hypercall(Nr::SetTrapTable, &[data(0)]);
        a.mov(Rax, NOWHERE).load(Rax, Rax, 0);
    });
    must_crash(
        guest.data(one_handler(PF, handler)),
        "times without progress",
    )
}

pub(crate) fn has_a_handler_that_faults() -> Checked {
    let with_handler_at = |handler| {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::SetTrapTable, &[data(0)]).mov(Rsp, data(40));
            a.mov(Rax, NOWHERE).load(Rax, Rax, 0).bytes(&[0x0f, 0x0b]);
        });
        guest.data(one_handler(PF, handler))
    };
    for handler in [NOWHERE, ENTRY + 0x2000, data(1)] {
        let outcome = ended(with_handler_at(handler), Duration::from_secs(20))?;
        crashed(&outcome);
    }
    Ok(())
}

pub(crate) fn returns_to_garbage() -> Checked {
    let frame = |rip: u64, cs: u64, rflags: u64, rsp: u64| {
        Tiny::new(|a| {
            a.mov(Rsp, data(1))
                .hypercall(Nr::Iret, &[])
                .bytes(&[0x0f, 0x0b]);
        })
        .data(move |dom| put(dom, data(1), &[0, 0, 0, 0, rip, cs, rflags, rsp, 0xe02b]))
    };
    must_crash(frame(NOWHERE, 0xe030, 0, 0), "exception 14")?;
    must_crash(frame(NOT_CANONICAL, 0xe030, 0, 0), "no failsafe callback")?;
    must_crash(frame(CODE, 0x33, 0, 0), "no user page table")?;
    for cs in [0xe030, 0, 0x10, 0x23, 0xffff] {
        for rflags in [0, u64::MAX, 1 << 8, 1 << 14, 1 << 17] {
            ended(frame(data(2), cs, rflags, u64::MAX), MOMENT)?;
        }
    }
    let unreadable = Tiny::new(|a| {
        a.mov(Rsp, NOT_CANONICAL).hypercall(Nr::Iret, &[]);
    });
    must_crash(unreadable, "no frame can be read")?;
    // A failsafe callback that returns to the same garbage, for ever.
    let again = Tiny::new(|a| {
        let go = a.label();
        let failsafe = a.label();
        a.mov(Rdi, data(9))
            .mov_label(Rsi, failsafe)
            .mov(Rdx, data(9));
        a.mov(Rax, Nr::SetCallbacks as u64).syscall().jmp(go);
        a.bind(failsafe)
            .bind(go)
            .mov(Rsp, data(1))
            .hypercall(Nr::Iret, &[]);
    });
    let garbage = [0, 0, 0, 0, NOT_CANONICAL, 0xe030, 0, data(40), 0xe02b];
    must_run_on(again.data(move |dom| put(dom, data(1), &garbage))).map(drop)
}

/// The trap flag, over hypercalls too; the handler goes on.
pub(crate) fn single_steps() -> Checked {
    let handler = CODE + 5;
    for (code, error) in [(&[][..], false), (&[0x8e, 0xd0][..], false)] {
        let guest = Tiny::new(|a| {
            let start = a.label();
            a.jmp(start);
            return_from_fault(a, error);
            a.bind(start)
                .hypercall(Nr::SetTrapTable, &[data(0)])
                .mov(Rsp, data(40));
            // pushf; orl $0x100,(%rsp); popf
            a.bytes(&[0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d])
                .mov(R14, 20);
            let again = a.mark();
            a.hypercall(Nr::XenVersion, &[0])
                .mov(Rax, 0x2b)
                .bytes(code)
                .syscall();
            a.dec(R14).jnz(again).power_off();
        });
        let outcome = ended(guest.data(one_handler(1, handler)), Duration::from_secs(10))?;
        let fine = matches!(outcome.ending, Ending::Shutdown(_) | Ending::Crash(_));
        assert!(fine, "{:?}", outcome.ending);
    }
    Ok(())
}
