//! Guests that ask for too much: output, counts, records, work (XSA-45, 58, 264, 290).

use crate::judge::{
    ENTRY, NOT_CANONICAL, NOWHERE, SELF, ended, grew_less_than, must_run_on, resident,
};
use hypercalls::console::CONSOLEIO_WRITE;
use hypercalls::mmu::*;
use hypercalls::{Nr, PAGE_SIZE};
use std::time::Duration;
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{Tiny, data, data_frame, free_frame, put};
use xenlet::kvm::Ending;

pub(crate) fn floods_the_console() -> Checked {
    let before = resident();
    let outcome = must_run_on(Tiny::new(|a| {
        let again = a.mark();
        a.hypercall(
            Nr::ConsoleIo,
            &[u64::from(CONSOLEIO_WRITE), 40 * PAGE_SIZE, data(0)],
        );
        a.jmp(again);
    }))?;
    assert!(outcome.domain.stats.calls_of(Nr::ConsoleIo) > 10);
    grew_less_than(64, before);
    Ok(())
}

pub(crate) fn asks_for_huge_counts() -> Checked {
    for nr in [Nr::MmuUpdate, Nr::MmuextOp, Nr::Multicall] {
        for count in [
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            u64::MAX,
            1 << 20,
            1 << 16,
        ] {
            for at in [data(0), 0, NOT_CANONICAL, ENTRY, u64::MAX, NOWHERE] {
                let guest = Tiny::new(|a| {
                    a.hypercall(nr, &[at, count, data(59), SELF]).power_off();
                });
                let outcome = ended(guest, Duration::from_secs(5))?;
                assert!(
                    !matches!(outcome.ending, Ending::Crash(_)),
                    "{:?}",
                    outcome.ending
                );
            }
        }
    }
    Ok(())
}

/// The counters keep a line a batch size: a guest must not choose how many.
pub(crate) fn asks_for_many_sizes() -> Checked {
    let outcome = must_run_on(Tiny::new(|a| {
        a.hypercall(Nr::Lab, &[u64::from(hypercalls::lab::LAB_BEGIN)])
            .mov(Rbx, 0x7fff_0000);
        let again = a.mark();
        a.mov(Rdi, NOWHERE)
            .copy(Rsi, Rbx)
            .mov(Rdx, 0)
            .mov(R10, SELF);
        a.mov(Rax, Nr::MmuUpdate as u64)
            .syscall()
            .dec(Rbx)
            .jmp(again);
    }))?;
    let stats = &outcome.domain.stats;
    assert!(stats.calls_of(Nr::MmuUpdate) > 1000);
    let sizes = stats.batch_sizes.len();
    assert!(sizes < 600, "{sizes} sizes on record");
    Ok(())
}

/// Copies over frames that were tables are shown to the CPU entry by entry.
pub(crate) fn copies_pages_without_end() -> Checked {
    const OPS: u64 = 4096;
    let guest = Tiny::new(|a| {
        a.hypercall(Nr::MmuextOp, &[data(1), 2, 0, SELF]);
        let again = a.mark();
        a.hypercall(Nr::MmuextOp, &[data(2), OPS, 0, SELF])
            .jmp(again);
    });
    let guest = guest.data(|dom| {
        let target = free_frame(dom, 0);
        let sources = [data_frame(dom, 50), data_frame(dom, 51)];
        put(dom, data(50), &[0x1111_1111_1111_1111; 512]);
        put(dom, data(51), &[0x3333_3333_3333_3333; 512]);
        let pin = u64::from(MMUEXT_PIN_L1_TABLE);
        put(
            dom,
            data(1),
            &[pin, target.0, 0, u64::from(MMUEXT_UNPIN_TABLE), target.0, 0],
        );
        for i in 0..OPS {
            let from = sources[i as usize % 2].0;
            put(
                dom,
                data(2) + 24 * i,
                &[u64::from(MMUEXT_COPY_PAGE), target.0, from],
            );
        }
    });
    must_run_on(guest).map(drop)
}
