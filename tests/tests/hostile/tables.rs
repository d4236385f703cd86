//! Page tables attacked by the guest that runs on them, with a CPU (XSA-182, 286).

use crate::judge::{MOMENT, SELF, ended, must_crash, must_power_off};
use hypercalls::Nr;
use hypercalls::mmu::*;
use hypercalls::vm_assist::*;
use tests::asm::{Asm, Reg::*};
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, data, free_frame, put, table_frame, table_va};
use xenlet::domain::Domain;

/// Every frame of the machine at one address, writable, then written.
pub(crate) fn maps_everything_writable() -> Checked {
    let va = data(58);
    let guest = Tiny::new(|a| {
        a.mov(Rbx, 0x67).mov(R14, 4000);
        let again = a.mark();
        let refused = a.label();
        a.mov(Rdi, va).copy(Rsi, Rbx).mov(Rdx, UVMF_INVLPG);
        a.mov(Rax, Nr::UpdateVaMapping as u64).syscall();
        // test %rax,%rax
        a.bytes(&[0x48, 0x85, 0xc0]).jnz(refused);
        // The page at its own address stays as it is: our code is one of them.
        a.mov(R8, va).load(R9, R8, 0).store(R9, R8, 0);
        a.bind(refused)
            .bytes(&[0x48, 0x81, 0xc3, 0, 0x10, 0, 0])
            .dec(R14)
            .jnz(again)
            .power_off();
    });
    let outcome = must_power_off(guest)?;
    let refused: u64 = outcome.domain.mm.refusals().map(|(_, n)| n).sum();
    assert!(refused > 20, "{refused}");
    Ok(())
}

pub(crate) fn writes_its_page_tables() -> Checked {
    // Without the assist: a page fault.
    let plain = Tiny::new(|a| {
        a.load(Rbx, Rsi, 88).load(Rax, Rbx, 0).store(Rax, Rbx, 0);
    });
    must_crash(plain, "exception 14 (error code 0x7")?;
    // With it, every entry of an L1 by itself, then as a map of the L4, writable: a page fault.
    let enable = [
        u64::from(VMASST_CMD_ENABLE),
        u64::from(VMASST_TYPE_WRITABLE_PAGETABLES),
    ];
    let assisted = |last: fn(&mut Asm)| {
        let guest = Tiny::new(move |a| {
            a.hypercall(Nr::VmAssist, &enable)
                .mov(R8, data(0))
                .load(Rbx, R8, 0)
                .mov(R14, 512);
            let again = a.mark();
            a.load(Rax, Rbx, 0)
                .store(Rax, Rbx, 0)
                .bytes(&[0x48, 0x83, 0xc3, 8]);
            a.dec(R14).jnz(again).load(Rbx, R8, 0).load(Rax, R8, 8);
            last(a);
            a.power_off();
        });
        guest.data(|dom| {
            // The last table is an L1.
            let l1 = dom.layout.tables.pages - 1;
            let l4 = table_frame(dom, 0).maddr().0 | 0x67;
            put(dom, data(0), &[table_va(dom, l1), l4]);
        })
    };
    let outcome = must_power_off(assisted(|_| {}))?;
    assert!(outcome.domain.stats.counters.emulated_writes >= 512);
    let writable = assisted(|a| {
        a.store(Rax, Rbx, 8 * 100);
    });
    must_crash(writable, "exception 14")?;
    // By parts: the low half writable first.
    let parts = assisted(|a| {
        a.bytes(&[0x89, 0x83, 0x20, 3, 0, 0, 0x66, 0x89, 0x83, 0x20, 3, 0, 0]);
    });
    ended(parts, MOMENT).map(drop)
}

pub(crate) fn takes_its_own_tables_away() -> Checked {
    let op = |cmd: u32, frame: fn(&Domain) -> u64| {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::MmuextOp, &[data(1), 1, 0, SELF])
                .power_off();
        });
        guest.data(move |dom| put(dom, data(1), &[u64::from(cmd), frame(dom), 0]))
    };
    let l4: fn(&Domain) -> u64 = |dom| table_frame(dom, 0).0;
    let empty: fn(&Domain) -> u64 = |dom| free_frame(dom, 0).0;
    must_power_off(op(MMUEXT_UNPIN_TABLE, l4))?;
    must_power_off(op(MMUEXT_NEW_USER_BASEPTR, l4))?;
    must_crash(op(MMUEXT_NEW_BASEPTR, empty), "exception 14")?;
    // Its own code's entry in the L1, L2, L3 and L4.
    for level in 0..4u64 {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::MmuUpdate, &[data(1), 1, 0, SELF])
                .power_off();
        });
        let guest = guest.data(move |dom| {
            // The builder's tables come as they are first needed: L4, L3, L2, L1s.
            let table = table_frame(dom, 3 - level);
            let va = hypercalls::Vaddr(CODE);
            let slot = va.slot(hypercalls::Level::ALL[level as usize]);
            put(dom, data(1), &[table.entry(slot).0, 0]);
        });
        must_crash(guest, "exception 14")?;
    }
    Ok(())
}
