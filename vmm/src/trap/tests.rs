//! Frames, system calls, emulation and crashes, on a domain without a kernel.

use crate::domain::fixture::{Guest, handler};
use crate::domain::*;
use crate::hypercall::syscall;
use hypercalls::callback::*;
use hypercalls::trap::*;
use hypercalls::vm_assist::*;
use hypercalls::{Mfn, Nr, Pte, PteFlags, Vaddr};

/// The words of the frame at rsp.
fn frame<const N: usize>(g: &Guest) -> [u64; N] {
    g.get(g.regs.rsp)
}

fn crash(step: Step) -> Crash {
    match step {
        Step::Crash(crash) => *crash,
        other => panic!("{other:?}"),
    }
}

fn callbacks(g: &mut Guest) {
    g.ok(Nr::SetCallbacks, &[handler(1), handler(2), handler(3)]);
}

#[test]
fn a_kernel_fault_leaves_an_aligned_frame_of_ring_0() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[PF]);
    g.dom.mask_upcalls(0, false);
    g.regs.rsp -= 0x18;
    let before = Regs {
        rcx: 1,
        r11: 2,
        rflags: g.regs.rflags | RFLAGS_TF | RFLAGS_AC,
        ..g.regs
    };
    g.regs = before;
    let bad = 0x1234_5678;
    assert_eq!(g.fault(PF, PFEC_WRITE | PFEC_USER, bad), Step::Resume);
    let top = before.rsp & !15;
    assert_eq!(g.regs.rsp, top - 64);
    let [rcx, r11, error, rip, cs, rflags, rsp, ss] = frame(&g);
    assert_eq!((rcx, r11, error), (1, 2, PFEC_WRITE));
    assert_eq!((rip, cs, rsp, ss), (before.rip, 0xe030, before.rsp, 0xe02b));
    assert_eq!(rflags, before.rflags);
    assert_eq!(g.regs.rip, handler(PF));
    assert_eq!(g.regs.rflags & (RFLAGS_TF | RFLAGS_AC), 0);
    assert!(g.dom.upcalls_masked(0), "the table says so");
    let cr2: u64 = g
        .dom
        .memory
        .read_obj(g.dom.vcpus[0].info.add(16))
        .expect("ours");
    assert_eq!((cr2, g.dom.vcpus[0].cr2), (bad, bad));
    // The mask is saved, and IF says the same.
    assert_eq!(g.fault(UD, 0, 0), Step::Resume);
    let [_, _, _, cs, rflags] = frame(&g);
    assert_eq!((cs, rflags & RFLAGS_IF), (0xe030 | 1 << 32, 0));
}

#[test]
fn a_user_fault_comes_in_on_the_kernel_stack_and_tables() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let rip = g.user(&[0x90]);
    let (stack, _) = g.page();
    g.ok(Nr::StackSwitch, &[0xe02b, stack.0 + 0xffc]);
    g.dom.vcpus[0].set_mode(false);
    g.dom.vcpus[0].segments_dirty = false;
    g.regs = Regs {
        rip: rip.0,
        rsp: 0x7000,
        cs: 0x33,
        ss: 0x2b,
        rflags: 0x202,
        ..Regs::default()
    };
    assert_eq!(g.fault(PF, PFEC_USER, 0x7000), Step::Resume);
    let v = &g.dom.vcpus[0];
    assert!(v.kernel_mode && v.segments_dirty);
    assert_eq!(
        (v.root(), g.regs.rsp),
        (v.kernel_base, stack.0 + 0xff0 - 64)
    );
    let [.., error, rip_saved, cs, _, rsp, ss] = frame::<8>(&g);
    assert_eq!((error, rip_saved, cs), (PFEC_USER, rip.0, 0x33 | 1 << 32));
    assert_eq!((rsp, ss), (0x7000, 0x2b));
}

#[test]
fn iret_goes_to_user_mode_and_a_syscall_comes_back() {
    let mut g = Guest::new(1);
    callbacks(&mut g);
    let rip = g.user(&[0x0f, 0x05]);
    let (stack, _) = g.page();
    g.ok(Nr::StackSwitch, &[0xe02b, stack.0 + 0x1000]);
    let context = IretContext {
        rax: 7,
        r11: 8,
        rcx: 9,
        flags: 0,
        rip: rip.0,
        cs: 0x33,
        rflags: RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT,
        rsp: 0x7000,
        ss: 0x2b,
    };
    g.regs.rsp = g.put(&context);
    assert_eq!(g.syscall(Nr::Iret, [0; 2]), Step::Resume);
    assert!(!g.dom.vcpus[0].kernel_mode && !g.dom.upcalls_masked(0));
    let r = g.regs;
    assert_eq!((r.rax, r.r11, r.rcx, r.rip, r.cs), (7, 8, 9, rip.0, 0x33));
    assert_eq!(r.rflags, 2 | RFLAGS_IF | RFLAGS_DF);

    g.regs.rip += 2;
    assert_eq!(syscall(&mut g.dom, 0, &mut g.regs), Step::Resume);
    assert_eq!((g.regs.rip, g.regs.rflags & RFLAGS_DF), (handler(3), 0));
    let [rcx, r11, rip_saved, cs, _, rsp, _] = frame(&g);
    assert_eq!(
        (rcx, r11, rip_saved, cs, rsp),
        (9, 8, rip.0 + 2, 0x33, 0x7000)
    );
    assert_eq!(g.dom.stats.counters.user_syscalls, 1);
    g.recount();
}

#[test]
fn iret_in_a_syscall_leaves_rcx_and_r11_as_sysret_does() {
    let mut g = Guest::new(1);
    let context = IretContext {
        flags: VGCF_IN_SYSCALL,
        rip: g.regs.rip,
        cs: 0xe030,
        ..IretContext::default()
    };
    g.regs.rsp = g.put(&context);
    assert_eq!(g.syscall(Nr::Iret, [0; 2]), Step::Resume);
    assert!(g.dom.vcpus[0].kernel_mode && g.dom.upcalls_masked(0));
    assert_eq!(
        (g.regs.rcx, g.regs.r11, g.regs.cs),
        (g.regs.rip, g.regs.rflags, 0xe033)
    );
}

#[test]
fn a_return_that_cannot_be_ends_in_the_failsafe_callback() {
    let mut g = Guest::new(1);
    callbacks(&mut g);
    let (stack, _) = g.page();
    let context = IretContext {
        rip: 0x8000_0000_0000,
        cs: 0xe030,
        rsp: stack.0 + 0x800,
        ..IretContext::default()
    };
    g.regs.rsp = g.put(&context);
    g.regs.ds = 0x1b;
    assert_eq!(g.syscall(Nr::Iret, [0; 2]), Step::Resume);
    assert_eq!(g.regs.rip, handler(2));
    let [_, _, ds, _, _, _, rip, ..] = frame::<11>(&g);
    assert_eq!((ds, rip), (0x1b, 0x8000_0000_0000));
}

#[test]
fn a_syscall_without_a_callback_is_an_invalid_opcode() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let rip = g.user(&[0x0f, 0x05]);
    let (stack, _) = g.page();
    g.ok(Nr::StackSwitch, &[0, stack.0 + 0x1000]);
    g.dom.vcpus[0].set_mode(false);
    g.regs.rip = rip.0 + 2;
    assert_eq!(syscall(&mut g.dom, 0, &mut g.regs), Step::Resume);
    assert_eq!(g.regs.rip, handler(UD));
    assert_eq!(frame::<3>(&g)[2], rip.0);
}

#[test]
fn crashes_say_why() {
    let mut g = Guest::new(1);
    let lost = crash(g.fault(PF, 0, 0x5000));
    assert!(matches!(
        lost.reason,
        CrashReason::NoHandler { vector: PF, .. }
    ));
    let text = crate::dump::render(&g.dom, &lost);
    assert!(text.contains("page walk of cr2 0x5000"), "{text}");
    g.handlers(&[], &[]);
    g.regs.rsp = 0x5000;
    let stack = crash(g.fault(UD, 0, 0));
    assert!(matches!(stack.reason, CrashReason::BadKernelStack { .. }));
    let frame = crash(g.syscall(Nr::Iret, [0; 2]));
    assert_eq!(frame.reason, CrashReason::BadIretFrame(Vaddr(0x5000)));
    let text = crate::dump::render(&g.dom, &frame);
    assert!(
        text.contains("iret() did not return") && text.contains("set_trap_table("),
        "{text}"
    );
}

#[test]
fn iret_to_user_mode_needs_a_user_table() {
    let mut g = Guest::new(1);
    g.regs.rsp = g.put(&IretContext {
        cs: 0x33,
        ..IretContext::default()
    });
    assert_eq!(
        crash(g.syscall(Nr::Iret, [0; 2])).reason,
        CrashReason::NoUserTable
    );
}

/// A handler that returns to the faulting instruction without mending anything.
#[test]
fn a_fault_loop_ends() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let start = g.regs;
    for _ in 0..100_000 {
        g.regs = start;
        match g.fault(PF, 0, 0x5000) {
            Step::Resume => {}
            step => {
                let reason = crash(step).reason;
                assert!(matches!(reason, CrashReason::FaultLoop { .. }));
                return;
            }
        }
    }
    panic!("went on for ever");
}

#[test]
fn software_interrupts_need_the_tables_leave() {
    let mut g = Guest::new(1);
    g.handlers(&[0x80], &[]);
    let rip = g.user(&[0xcd, 0x80]);
    let (stack, _) = g.page();
    g.ok(Nr::StackSwitch, &[0, stack.0 + 0x1000]);
    let user = Regs {
        rip: rip.0,
        cs: 0x33,
        ..Regs::default()
    };
    // Natively as #GP, on some hosts as #UD.
    for (vector, error) in [(GP, 0x80 << 3 | 2), (UD, 0)] {
        g.dom.vcpus[0].set_mode(false);
        g.regs = user;
        assert_eq!(g.fault(vector, error, 0), Step::Resume);
        assert_eq!(g.regs.rip, handler(0x80));
        assert_eq!(frame::<3>(&g)[2], rip.0 + 2);
    }
    g.dom.vcpus[0].set_mode(false);
    g.regs = user;
    assert_eq!(g.fault(GP, 3 << 3 | 2, 0), Step::Resume);
    assert_eq!(g.regs.rip, handler(GP));
    assert_eq!(frame::<4>(&g)[2..], [3 << 3 | 2, rip.0]);
}

fn runs(g: &mut Guest, vector: u8, code: &[u8]) -> u64 {
    g.code(code);
    let rip = g.regs.rip;
    assert_eq!(g.fault(vector, 0, 0), Step::Resume);
    g.regs.rip.wrapping_sub(rip)
}

#[test]
fn privileged_instructions_a_kernel_may_use() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    g.regs.rax = 0x4000_0000;
    assert_eq!(
        runs(&mut g, UD, &[0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2]),
        7
    );
    assert_eq!(g.regs.rbx, 0x566e_6558);
    (g.regs.rcx, g.regs.rdx, g.regs.rax) = (0xc000_0101, 0xffff_8888, 0x1000);
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x30]), 2);
    assert_eq!(g.dom.vcpus[0].gs_base(), 0xffff_8888_0000_1000);
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x32]), 2);
    assert_eq!((g.regs.rdx, g.regs.rax), (0xffff_8888, 0x1000));
    g.regs.rax = u64::MAX;
    assert_eq!(runs(&mut g, GP, &[0xe4, 0x42]), 2);
    assert_eq!(g.regs.rax, u64::MAX << 8);
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x20, 0xe0]), 3);
    assert_eq!(g.regs.rax, 0x620);
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x20, 0xd8]), 3);
    assert_eq!(g.regs.rax, g.dom.vcpus[0].kernel_base.maddr().0);
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x22, 0xd8]), 3);
    g.dom.vcpus[0].ts = true;
    assert_eq!(runs(&mut g, GP, &[0x0f, 0x06]), 2);
    assert!(!g.dom.vcpus[0].ts);
    g.regs.rax = 0xe02b;
    assert_eq!(runs(&mut g, GP, &[0x8e, 0xd8]), 2);
    assert_eq!(g.regs.ds, 0xe02b);
    g.recount();
}

/// Anything else is the guest's own #GP; user mode gets nothing emulated but `cpuid`.
#[test]
fn everything_else_is_a_general_protection_fault() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let foreign_table = g.dom.first_mfn().0 << 12;
    (g.regs.rcx, g.regs.rax) = (0x8b, foreign_table);
    let sp = g.regs.rsp;
    for code in [
        &[0x0f, 0x32][..],   // rdmsr of an unknown register
        &[0xf4],             // hlt
        &[0x0f, 0x22, 0xd8], // mov cr3 of a page that is no L4
        &[0x0f, 0x22, 0xe0], // mov cr4 of nonsense
        &[0xfa],             // cli without I/O privilege
        &[0x8e, 0xd8],       // mov ds of a selector that is not there
        &[0x66],             // half an instruction before a gap
    ] {
        g.regs.rsp = sp;
        g.code(code);
        assert_eq!(g.fault(GP, 0, 0), Step::Resume);
        assert_eq!(g.regs.rip, handler(GP), "{code:x?}");
    }
    g.recount();
}

/// A live L1, mapped read-only, and the address of its entry `slot` in that mapping.
fn live_l1(g: &Guest, slot: u64) -> (Vaddr, Mfn) {
    let root = g.dom.vcpus[0].kernel_base;
    let va = g.dom.layout.va(g.dom.layout.boot_stack);
    let at = crate::mm::walk::l1_entry(&g.dom.memory, root, va).expect("mapped");
    let pfn = at.mfn().0 - g.dom.first_mfn().0;
    (
        g.dom.layout.va(hypercalls::Pfn(pfn)).add(slot * 8),
        at.mfn(),
    )
}

#[test]
fn writes_to_a_live_table_are_applied_and_counted() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    g.ok(
        Nr::VmAssist,
        &[0, u64::from(VMASST_TYPE_WRITABLE_PAGETABLES)],
    );
    let (target, data) = g.page();
    let (table, l1) = live_l1(&g, 0);
    let slot = target.slot(hypercalls::Level::L1);
    let entry = table.add(slot as u64 * 8);
    let at = l1.entry(slot);
    let old = g.dom.memory.read_u64(at).expect("a table");
    let error = PFEC_PRESENT | PFEC_WRITE | PFEC_USER;
    let write = |g: &mut Guest, code: &[u8]| {
        g.code(code);
        (g.regs.rbx, g.regs.r9) = (entry.0, 1);
        let rip = g.regs.rip;
        assert_eq!(g.fault(PF, error, entry.0), Step::Resume);
        assert_eq!(g.regs.rip - rip, code.len() as u64, "{code:x?}");
        g.recount();
        Pte(g.dom.memory.read_u64(at).expect("a table"))
    };
    // lock btr %r9,(%rbx): write-protect.
    let now = write(&mut g, &[0xf0, 0x4c, 0x0f, 0xb3, 0x0b]);
    assert!(!now.has(PteFlags::RW) && now.mfn() == data && g.regs.rflags & 1 == 1);
    // xor %ecx,%ecx is not needed: xchg %rcx,(%rbx) with rcx 0 clears.
    g.regs.rcx = 0;
    assert_eq!(write(&mut g, &[0x48, 0x87, 0x0b]), Pte(0));
    assert_eq!(g.regs.rcx, old & !2);
    // mov %rcx,(%rbx): back.
    g.regs.rcx = old;
    assert_eq!(write(&mut g, &[0x48, 0x89, 0x0b]).mfn(), data);
    // lock cmpxchg %rcx,(%rbx): no match, then a match.
    (g.regs.rax, g.regs.rcx) = (0, 0);
    let held = write(&mut g, &[0xf0, 0x48, 0x0f, 0xb1, 0x0b]);
    assert_eq!((g.regs.rax, g.regs.rflags & RFLAGS_ZF), (held.0, 0));
    assert_eq!(write(&mut g, &[0xf0, 0x48, 0x0f, 0xb1, 0x0b]), Pte(0));
    assert_eq!(g.regs.rflags & RFLAGS_ZF, RFLAGS_ZF);
    // movl %ecx,4(%rbx) with half an entry, while it is not present.
    g.regs.rcx = 0x8000_0000;
    assert_eq!(write(&mut g, &[0x89, 0x4b, 0x04]), Pte(1 << 63));
    assert_eq!(g.dom.stats.counters.emulated_writes, 6);
}

/// A write that the rules refuse, or before the guest asked for emulation, is its page fault.
#[test]
fn refused_writes_fault() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let (table, l1) = live_l1(&g, 0);
    let error = PFEC_PRESENT | PFEC_WRITE | PFEC_USER;
    let writable_map_of_a_table = Pte::new(l1, PteFlags::PRESENT | PteFlags::RW).0;
    for assist in [false, true] {
        g.dom.assists = if assist {
            1 << VMASST_TYPE_WRITABLE_PAGETABLES
        } else {
            0
        };
        g.code(&[0x48, 0x89, 0x0b]);
        (g.regs.rbx, g.regs.rcx) = (table.0, writable_map_of_a_table);
        assert_eq!(g.fault(PF, error, table.0), Step::Resume);
        assert_eq!(g.regs.rip, handler(PF), "{assist}");
    }
    assert_eq!(g.dom.stats.counters.emulated_writes, 0);
    g.recount();
}

/// A translation that was replaced meanwhile is dropped, and the guest never knows.
#[test]
fn a_stale_translation_is_dropped() {
    let mut g = Guest::new(1);
    let (va, _) = g.page();
    let before = g.regs;
    assert_eq!(
        g.fault(PF, PFEC_PRESENT | PFEC_WRITE | PFEC_USER, va.0),
        Step::Resume
    );
    assert_eq!(g.regs, before);
    assert_eq!(g.dom.mm.take_effects().flush.pages.as_slice(), [(1, va)]);
}

#[test]
fn the_m2p_can_be_read_at_xens_own_address() {
    let mut g = Guest::new(1);
    let mfn = g.dom.first_mfn().0 + 5;
    g.code(&[0x48, 0x8b, 0x04, 0xcb]); // mov (%rbx,%rcx,8),%rax
    (g.regs.rbx, g.regs.rcx) = (0xffff_8000_0000_0000, mfn);
    assert_eq!(
        g.fault(PF, PFEC_USER, 0xffff_8000_0000_0000 + mfn * 8),
        Step::Resume
    );
    assert_eq!(g.regs.rax, 5);
}

#[test]
fn nmi_callbacks_alone_can_be_taken_back() {
    let mut g = Guest::new(1);
    let register = |kind, address| CallbackRegister {
        kind,
        address,
        ..Default::default()
    };
    for kind in [0, 1, 2, 4, 5, 7] {
        let at = g.put(&register(kind, handler(9)));
        g.ok(Nr::CallbackOp, &[0, at]);
    }
    use hypercalls::Errno;
    let at = g.put(&register(3, handler(9)));
    g.refused(Nr::CallbackOp, &[0, at], Errno::ENOSYS);
    let at = g.put(&register(0, 1 << 47));
    g.refused(Nr::CallbackOp, &[0, at], Errno::EINVAL);
    let at = g.put(&CALLBACKTYPE_NMI);
    g.ok(Nr::CallbackOp, &[1, at]);
    let at = g.put(&CALLBACKTYPE_EVENT);
    g.refused(Nr::CallbackOp, &[1, at], Errno::EINVAL);
    g.refused(Nr::CallbackOp, &[2, at], Errno::ENOSYS);
    assert!(
        g.dom.vcpus[0]
            .callbacks
            .event
            .is_some_and(|e| e.masks_events)
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]
    /// Whatever code a guest faults in, nothing panics and every reference is where it should be.
    #[test]
    fn no_instruction_harms(
        prefix in 0usize..8,
        code in proptest::array::uniform15(proptest::prelude::any::<u8>()),
        vector in 0u8..32,
        error in 0u64..64,
        values in proptest::array::uniform4(proptest::prelude::any::<u64>()),
        slot in 0u64..512,
        user in proptest::prelude::any::<bool>(),
    ) {
        const PREFIXES: [&[u8]; 8] = [
            &[], &[0xf0, 0x48], &[0x48, 0x87], &[0xf0, 0x48, 0x0f], &[0x66, 0x0f], &[0x8e], &[0x0f, 0x22], &[0xcd],
        ];
        let mut g = Guest::new(1);
        g.handlers(&[3, 4, 0x80], &[]);
        g.dom.assists = u64::MAX;
        let (table, _) = live_l1(&g, slot);
        let (stack, _) = g.page();
        g.ok(Nr::StackSwitch, &[0, stack.0 + 0x1000]);
        let bytes: Vec<u8> = PREFIXES[prefix].iter().chain(&code).copied().collect();
        let cr2 = if values[0] % 2 == 0 { table.0 } else { values[0] };
        if user {
            g.regs.rip = g.user(&bytes).0;
            g.dom.vcpus[0].set_mode(false);
        } else {
            g.code(&bytes);
        }
        (g.regs.rax, g.regs.rcx, g.regs.rdx) = (values[1], values[2], values[3]);
        (g.regs.rbx, g.regs.rsi, g.regs.rdi) = (table.0, table.0, table.0);
        for vector in [14, 13, 6, vector] {
            let _ = g.fault(vector, error, cr2);
        }
        proptest::prop_assert_eq!(g.dom.recount(), []);
    }
}
