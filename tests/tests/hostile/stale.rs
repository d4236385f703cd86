//! Translations that outlive what they came from, on a CPU: writable maps of a page that became a
//! table (XSA-401, XSA-408), entries above L1 (XSA-286), flushes of addresses that do not exist
//! (XSA-279).

use crate::judge::{NOT_CANONICAL, SELF, must_crash, must_power_off};
use hypercalls::mmu::*;
use hypercalls::{Level, Nr, Vaddr};
use tests::asm::Asm;
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{CODE, Tiny, data, data_frame, free_frame, put, table_frame};
use xenlet::domain::Domain;

/// The page that is written, mapped read-only, made a table, and written again.
const PAGE: u64 = data(50);

/// XSA-401, XSA-408. The guest writes a page, so that the CPU knows it as writable; maps it read-only
/// and asks for no flush; makes it an L1. The write through what the CPU remembers must fault: by
/// `update_va_mapping` and by `mmu_update`, by itself and all in one multicall.
pub(crate) fn writable_maps_of_a_page_that_became_a_table() -> Checked {
    let read_only = |a: &mut Asm, by_va: bool| {
        match by_va {
            true => a.load(Rsi, R8, 0).mov(Rdi, PAGE).mov(Rdx, UVMF_NONE),
            false => a.mov(Rdi, data(1)).mov(Rsi, 1).mov(Rdx, 0).mov(R10, SELF),
        };
        let nr = if by_va {
            Nr::UpdateVaMapping
        } else {
            Nr::MmuUpdate
        };
        a.mov(Rax, nr as u64).syscall();
    };
    for by_va in [true, false] {
        let guest = Tiny::new(|a| {
            a.mov(Rbx, PAGE)
                .mov(R8, data(2))
                .mov(Rax, 0)
                .store(Rax, Rbx, 0);
            read_only(a, by_va);
            a.hypercall(Nr::MmuextOp, &[data(3), 1, 0, SELF]);
            a.mov(Rbx, PAGE).mov(Rax, 0).store(Rax, Rbx, 8).power_off();
        });
        must_crash(guest.data(requests), "exception 14 (error code 0x7")?;
    }
    let guest = Tiny::new(|a| {
        a.mov(Rbx, PAGE).mov(Rax, 0).store(Rax, Rbx, 0);
        a.hypercall(Nr::Multicall, &[data(4), 2]);
        a.mov(Rbx, PAGE).mov(Rax, 0).store(Rax, Rbx, 8).power_off();
    });
    let both = |dom: &Domain| {
        requests(dom);
        let update = [Nr::MmuUpdate as u64, 0, data(1), 1, 0, SELF, 0, 0];
        let pin = [Nr::MmuextOp as u64, 0, data(3), 1, 0, SELF, 0, 0];
        put(dom, data(4), &[update, pin].concat());
    };
    must_crash(guest.data(both), "exception 14 (error code 0x7")
}

/// Data page 1: the `mmu_update` that maps [`PAGE`] read-only; 2: its entry; 3: the pin.
fn requests(dom: &Domain) {
    let frame = data_frame(dom, 50);
    let entry = frame.maddr().0 | 0x65;
    // The builder's tables come as they are first needed: L4, L3, L2, L1s.
    let l1 = table_frame(dom, 3);
    let at = l1.entry(Vaddr(PAGE).slot(Level::L1)).0;
    put(dom, data(1), &[at, entry]);
    put(dom, data(2), &[entry]);
    put(dom, data(3), &[u64::from(MMUEXT_PIN_L1_TABLE), frame.0, 0]);
}

/// Where the entries above L1 are tried: no table of the builder's is there.
const ELSEWHERE: u64 = CODE + (64 << 20);

/// XSA-286. A change above L1 takes effect before the hypercall returns, whoever asks for a flush: the
/// CPU may remember the old path. The guest hangs an L1 into its L2, reads through it, puts another
/// in its place, reads; takes it out, and must fault. By itself, and inside a multicall.
pub(crate) fn entries_above_l1() -> Checked {
    for in_multicall in [false, true] {
        let change = |a: &mut Asm, n: u64| {
            if in_multicall {
                a.hypercall(Nr::Multicall, &[data(4) + 64 * n, 1]);
            } else {
                a.hypercall(Nr::MmuUpdate, &[data(1) + 16 * n, 1, 0, SELF]);
            }
        };
        let guest = Tiny::new(|a| {
            let wrong = a.label();
            for n in 0..2_u64 {
                change(a, n);
                a.mov(Rbx, ELSEWHERE).load(Rax, Rbx, 0);
                // sub $(n + 1),%rax
                a.bytes(&[0x48, 0x83, 0xe8, n as u8 + 1]).jnz(wrong);
            }
            change(a, 2);
            a.mov(Rbx, ELSEWHERE).load(Rax, Rbx, 0);
            a.bind(wrong).bytes(&[0x0f, 0x0b]);
        });
        let setup = |dom: &Domain| {
            let l2 = table_frame(dom, 2);
            let at = l2.entry(Vaddr(ELSEWHERE).slot(Level::L2)).0;
            let tables = [free_frame(dom, 0), free_frame(dom, 1)];
            for (n, table) in tables.into_iter().enumerate() {
                let page = data_frame(dom, 50 + n as u64);
                let entry = page.maddr().0 | 0x67;
                dom.memory
                    .write_u64(table.entry(0), entry)
                    .expect("a free frame");
                put(dom, data(50 + n as u64), &[n as u64 + 1]);
            }
            let [first, second] = tables.map(|table| table.maddr().0 | 0x67);
            put(dom, data(1), &[at, first, at, second, at, 0]);
            for n in 0..3 {
                let call = [Nr::MmuUpdate as u64, 0, data(1) + 16 * n, 1, 0, SELF, 0, 0];
                put(dom, data(4) + 64 * n, &call);
            }
        };
        must_crash(guest.data(setup), "exception 14 (error code 0x4")?;
    }
    Ok(())
}

/// XSA-279. `invlpg` of an address that is not canonical faults on some CPUs. Probes all three flushes
/// of a page with such addresses and the hypervisor's: the guest goes on.
pub(crate) fn flushes_of_no_address() -> Checked {
    let addresses = [
        NOT_CANONICAL,
        u64::MAX,
        1 << 63,
        0xffff_8000_0000_0000,
        0xffff_8080_0000_0000,
    ];
    let commands = [MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_MULTI, MMUEXT_INVLPG_ALL];
    let ops: Vec<[u64; 3]> = commands
        .iter()
        .flat_map(|&command| addresses.map(|at| [u64::from(command), at, data(2)]))
        .collect();
    let count = ops.len() as u64;
    let guest = Tiny::new(|a| {
        a.hypercall(Nr::MmuextOp, &[data(1), count, data(3), SELF]);
        for at in addresses {
            for flags in [UVMF_INVLPG, UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH] {
                a.hypercall(Nr::UpdateVaMapping, &[at, 0, flags]);
            }
        }
        a.power_off();
    });
    let outcome = must_power_off(guest.data(move |dom| {
        put(dom, data(1), ops.as_flattened());
        put(dom, data(2), &[1]);
    }))?;
    let done = outcome.domain.first_mfn().maddr().add(data(3) - CODE);
    let done = outcome.domain.memory.read_u64(done).expect("a data page");
    assert_eq!(done, count, "each flush is answered");
    Ok(())
}
