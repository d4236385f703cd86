//! Requests that are not what they look like: arrays that end elsewhere (XSA-212), addresses that no
//! CPU takes (XSA-7, XSA-193), `iret` in a multicall (XSA-213), and words that change while they are
//! read.

use crate::bare::{Bare, HERE, INVALID, PINNED, THERE, ZERO};
use crate::judge::{MOMENT, SELF, ended};
use hypercalls::mmu::*;
use hypercalls::vcpu::*;
use hypercalls::{Errno, Nr};
use std::mem::offset_of;
use tests::asm::Reg::*;
use tests::chaos::{Frame, Word};
use tests::runner::Checked;
use tests::tiny::{Tiny, context, data, put, table_frame};
use xenlet::domain::Step;

const NOT_CANONICAL: [u64; 4] = [
    0x8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    1 << 63,
    0x00ff_ffff_ffff_ffff,
];

/// XSA-212. The range check looked at the pointer, the copy at pointer plus index. Probes arrays that
/// begin where the guest may and end in the hypervisor's hole, wrap around the end of addresses,
/// and whose size overflows; for each call that takes one.
pub(crate) fn arrays_that_end_elsewhere() -> Checked {
    let hole = 0xffff_8000_0000_0000_u64;
    let starts = [
        hole,
        hole - 8,
        hole - 64,
        0xffff_87ff_ffff_fff8,
        u64::MAX - 15,
        u64::MAX,
    ];
    let counts = [
        1,
        2,
        3,
        1 << 16,
        1 << 28,
        (1 << 31) - 1,
        (1 << 32) - 1,
        u64::MAX,
    ];
    let mut bare = Bare::with_tables();
    let own = Word::Raw(SELF);
    for start in starts {
        for count in counts {
            let args = [Word::Raw(start), Word::Raw(count), ZERO, own, ZERO];
            for nr in [Nr::MmuUpdate, Nr::MmuextOp, Nr::Multicall] {
                bare.raw(nr as u64, &[], args);
                assert_eq!(
                    bare.returned(),
                    Errno::EFAULT.to_ret(),
                    "{nr:?} {start:#x} {count}"
                );
            }
            for nr in [Nr::SetGdt, Nr::SetTrapTable] {
                bare.raw(nr as u64, &[], args);
                assert!(bare.returned() < 0, "{nr:?} {start:#x} {count}");
            }
            let args = [ZERO, Word::Raw(count), Word::Raw(start), ZERO, ZERO];
            bare.raw(Nr::ConsoleIo as u64, &[], args);
        }
    }
    Ok(())
}

/// XSA-7, XSA-193. The CPU faults in the hypervisor when it is given an address that no page table
/// can have. Probes segment bases, callbacks, handlers, stacks and returns; what is accepted must
/// not reach the CPU: the domain's next address to run at is checked after each call.
pub(crate) fn addresses_no_cpu_takes() -> Checked {
    let mut bare = Bare::new();
    for at in NOT_CANONICAL.map(Word::Raw) {
        for which in 0..3 {
            let told = bare.call(Nr::SetSegmentBase, &[], [Word::Raw(which), at, ZERO]);
            assert_eq!(told, INVALID, "{which} {at:?}");
        }
        for args in [[at, ZERO, ZERO], [ZERO, at, ZERO], [ZERO, ZERO, at]] {
            bare.call(Nr::SetCallbacks, &[], args);
        }
        let table = [Word::Raw(14 | 0xe033 << 16), at, ZERO, ZERO];
        bare.call(Nr::SetTrapTable, &table, [HERE, ZERO, ZERO]);
        bare.call(Nr::StackSwitch, &[], [Word::Raw(0xe02b), at, ZERO]);
        // To it by `iret`: rax, r11, rcx, flags, rip, cs, rflags, rsp, ss.
        let cs = Word::Raw(0xe030);
        let frame = [ZERO, ZERO, ZERO, ZERO, at, cs, ZERO, at, Word::Raw(0xe02b)];
        bare.raw(Nr::Iret as u64, &[(5, &frame)], [ZERO; 5]);
    }
    Ok(())
}

/// XSA-213. `iret` changes the address space under the calls that follow it. Probes it first, in the
/// midst and last of a multicall, to kernel mode and to a user mode without page tables: what
/// follows is not run.
pub(crate) fn iret_in_a_multicall() -> Checked {
    for place in 0..3 {
        for cs in [0xe030, 0xe033, 0x33] {
            let mut bare = Bare::with_tables();
            let before = bare.entry(PINNED[0], 1);
            let mut entries = Vec::new();
            for i in 0..3 {
                let call = match i == place {
                    true => [Word::Raw(Nr::Iret as u64), ZERO, ZERO, ZERO],
                    false => [Word::Raw(Nr::MmuUpdate as u64), ZERO, THERE, Word::Raw(1)],
                };
                entries.extend(call);
                entries.extend([ZERO, Word::Raw(SELF), ZERO, ZERO]);
            }
            let update = [
                Word::Entry(PINNED[0], 1, 0),
                Word::Pte(Frame::Data(0), 0x67),
            ];
            let frame = [
                ZERO,
                ZERO,
                ZERO,
                ZERO,
                Word::Page(7, 0),
                Word::Raw(cs),
                ZERO,
                HERE,
                ZERO,
            ];
            let args = [HERE, Word::Raw(3), ZERO, ZERO, ZERO];
            let pages: [(u8, &[Word]); 3] = [(0, &entries), (1, &update), (5, &frame)];
            let step = bare.raw(Nr::Multicall as u64, &pages, args);
            let crashed = matches!(step, Step::Crash(_));
            assert_eq!(crashed, cs & 3 == 3, "{place} {cs:#x}: {step:?}");
            let written = bare.entry(PINNED[0], 1) != before;
            assert_eq!(written, place > 0, "{place} {cs:#x}");
        }
    }
    Ok(())
}

/// A request that is read twice can be valid the first time. Probes entries of `mmu_update` that a
/// second vCPU changes all the time between a read-only and a writable map of the L4, and between
/// two targets: every reference is right at the end, and no table is writable.
pub(crate) fn words_that_change_while_they_are_read() -> Checked {
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let mut second = 0;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        second = a.here();
        a.mov(R8, data(1)).mov(R9, data(2));
        for offset in (0..64).step_by(8) {
            // Each of the eight words of the request: one value, then the other.
            a.load(Rax, R9, offset).load(Rbx, R9, offset + 64);
            a.store(Rax, R8, offset)
                .store(Rbx, R8, offset)
                .store(Rax, R8, offset);
        }
        let again = a.mark();
        a.load(Rax, R9, 8).load(Rbx, R9, 72);
        a.store(Rax, R8, 8).store(Rbx, R8, 8).jmp(again);
        a.bind(start);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
        let again = a.mark();
        a.hypercall(Nr::MmuUpdate, &[data(1), 4, 0, SELF])
            .jmp(again);
    });
    let guest = guest.cpus(2).data(move |dom| {
        let l4 = table_frame(dom, 0);
        context(dom, &[(rip, second), (cr3, l4.maddr().0)]);
        // The slot of data page 50 in the code's L1, after the L4, L3 and L2.
        let l1 = table_frame(dom, 3);
        let slot = hypercalls::Vaddr(data(50)).slot(hypercalls::Level::L1);
        let at = l1.entry(slot).0 | MMU_NORMAL_PT_UPDATE;
        let (good, bad) = (l4.maddr().0 | 0x65, l4.maddr().0 | 0x67);
        put(dom, data(1), &[at, good, at, good, at, good, at, good]);
        put(dom, data(2), &[at, good, at, good, at, good, at, good]);
        put(dom, data(2) + 64, &[at, bad, at, bad, at, bad, at, bad]);
    });
    let outcome = ended(guest, MOMENT)?;
    assert!(outcome.domain.stats.calls_of(Nr::MmuUpdate) > 100);
    Ok(())
}
