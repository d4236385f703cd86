//! What user mode may do and how it gets in, and the extended state a kernel switches on.

use crate::domain::fixture::{Guest, handler};
use crate::domain::*;
use crate::trap::deliver_upcall;
use hypercalls::callback::*;
use hypercalls::trap::*;
use hypercalls::vcpu::VCPUOP_SEND_NMI;
use hypercalls::{Errno, Nr};

/// A guest whose user mode stands at `code`, with a kernel stack to come in on.
fn in_user_mode(code: &[u8]) -> Guest {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let rip = g.user(code);
    let (stack, _) = g.page();
    g.ok(Nr::StackSwitch, &[0xe02b, stack.0 + 0x1000]);
    g.dom.vcpus[0].set_mode(false);
    g.regs = Regs {
        rip: rip.0,
        rsp: 0x7000,
        cs: 0x33,
        ss: 0x2b,
        rflags: 0x202,
        ..Regs::default()
    };
    g
}

/// Whether user mode gets its `in %dx,%al` from `port` done, and if so what it reads.
fn input(g: &mut Guest, port: u64) -> Option<u64> {
    let before = g.regs;
    (g.regs.rax, g.regs.rdx) = (0, port);
    assert_eq!(g.fault(GP, 0, 0), Step::Resume);
    let read = (g.regs.rip == before.rip + 1).then_some(g.regs.rax);
    assert!(read.is_some() || g.regs.rip == handler(GP));
    g.regs = before;
    g.dom.vcpus[0].set_mode(false);
    read
}

#[test]
fn ports_are_the_kernels_to_give() {
    let mut g = in_user_mode(&[0xec]);
    assert_eq!(input(&mut g, 0x80), None);
    g.dom.vcpus[0].iopl = 3;
    assert_eq!(
        (input(&mut g, 0x80), input(&mut g, 0x61)),
        (Some(0xff), Some(0))
    );
    g.dom.vcpus[0].iopl = 1;
    let mut bitmap = [0xff_u8; 16];
    bitmap[0x70 / 8] &= !1;
    let at = g.put(&bitmap);
    let asked = g.put(&[at, 0x78]);
    g.ok(Nr::PhysdevOp, &[7, asked]);
    assert_eq!(
        (input(&mut g, 0x70), input(&mut g, 0x71)),
        (Some(0xff), None)
    );
    // Beyond its end all are forbidden, whatever is there.
    let cleared = g.put(&[0_u8; 16]);
    let asked = g.put(&[cleared, 0x70]);
    g.ok(Nr::PhysdevOp, &[7, asked]);
    assert_eq!(
        (input(&mut g, 0x6f), input(&mut g, 0x70)),
        (Some(0xff), None)
    );
    let too_many = g.put(&[cleared, 0x1_0001]);
    g.refused(Nr::PhysdevOp, &[7, too_many], Errno::EINVAL);
}

#[test]
fn a_sysenter_comes_in_without_a_way_back() {
    let mut g = in_user_mode(&[0x0f, 0x34]);
    assert_eq!(g.fault(GP, 0, 0), Step::Resume);
    assert_eq!(g.regs.rip, handler(GP), "no callback yet");
    let callback = CallbackRegister {
        kind: CALLBACKTYPE_SYSENTER,
        address: handler(9),
        ..CallbackRegister::default()
    };
    let at = g.put(&callback);
    g.ok(Nr::CallbackOp, &[u64::from(CALLBACKOP_REGISTER), at]);
    g.dom.vcpus[0].set_mode(false);
    (g.regs.rip, g.regs.cs) = (0x40_0000, 0x23);
    assert_eq!(g.fault(GP, 0, 0), Step::Resume);
    assert_eq!(g.regs.rip, handler(9));
    let [_, _, rip, cs, _, rsp, ss]: [u64; 7] = g.get(g.regs.rsp);
    assert_eq!((rip, cs as u16, rsp, ss), (0, 3, 0, u64::from(FLAT_DS)));
}

/// `mov 0x400010,%ds` in 32-bit code; in 64-bit code the same bytes mean another address.
#[test]
fn instructions_of_32_bit_code_are_read_as_such() {
    let mut code = [0; 0x12];
    code[..6].copy_from_slice(&[0x8e, 0x1d, 0x10, 0, 0x40, 0]);
    code[0x10..].copy_from_slice(&FLAT_DS.to_le_bytes());
    for (cs, done) in [(0x23, true), (0x33, false)] {
        let mut g = in_user_mode(&code);
        g.regs.cs = cs;
        assert_eq!(g.fault(GP, 0, 0), Step::Resume);
        assert_eq!(g.regs.rip == 0x40_0006, done);
        assert_eq!(g.regs.ds == FLAT_DS, done);
    }
}

#[test]
fn syscall32_is_refused_where_it_does_not_arrive() {
    let mut g = Guest::new(1);
    let callback = CallbackRegister {
        kind: CALLBACKTYPE_SYSCALL32,
        address: handler(9),
        ..CallbackRegister::default()
    };
    let at = g.put(&callback);
    g.ok(Nr::CallbackOp, &[u64::from(CALLBACKOP_REGISTER), at]);
    g.dom.host.syscall32 = false;
    let args = [u64::from(CALLBACKOP_REGISTER), at];
    g.refused(Nr::CallbackOp, &args, Errno::ENOSYS);
}

#[test]
fn extended_state_is_switched_on_in_order() {
    let mut g = Guest::new(1);
    g.handlers(&[], &[]);
    let leaves = [((1, 0), [0, 0, 1 << 26, 0]), ((0xd, 0), [7, 0, 0, 0])];
    g.dom.cpuid = Cpuid::new(leaves, 0);
    let runs = |g: &mut Guest, code: &[u8], rax| {
        g.code(code);
        (g.regs.rax, g.regs.rcx, g.regs.rdx) = (rax, 0, 0);
        assert_eq!(g.fault(GP, 0, 0), Step::Resume);
        g.regs.rip != handler(GP)
    };
    const XSETBV: [u8; 3] = [0x0f, 0x01, 0xd1];
    assert!(!runs(&mut g, &XSETBV, 7), "not before CR4.OSXSAVE");
    assert!(
        runs(&mut g, &[0x0f, 0x22, 0xe0], CR4_OSXSAVE),
        "mov %rax,%cr4"
    );
    assert!(runs(&mut g, &XSETBV, 7));
    assert!(!runs(&mut g, &XSETBV, 5), "AVX without SSE");
    assert!(!runs(&mut g, &XSETBV, 0xf), "more than the host has");
    assert_eq!(g.dom.vcpus[0].xcr0, 7);
    g.dom.cpuid = Cpuid::new([], 0);
    assert!(!runs(&mut g, &[0x0f, 0x22, 0xe0], CR4_OSXSAVE));
}

#[test]
fn an_nmi_wakes_and_waits_for_the_one_before() {
    let mut g = Guest::new(2);
    let send = [u64::from(VCPUOP_SEND_NMI), 0];
    g.call_on(1, Nr::VcpuOp, &send).expect("returns");
    let now = deliver_upcall(&mut g.dom, 0, &mut g.regs);
    assert_eq!((now, g.dom.vcpus[0].nmi.pending), (Step::Resume, true));
    let callback = CallbackRegister {
        kind: CALLBACKTYPE_NMI,
        address: handler(2),
        ..CallbackRegister::default()
    };
    let at = g.put(&callback);
    g.ok(Nr::CallbackOp, &[u64::from(CALLBACKOP_REGISTER), at]);
    g.dom.mask_upcalls(0, false);
    g.dom.vcpus[0].wait = Some(Wait::Event);
    assert!(g.dom.is_ready(0, 0));
    assert_eq!(deliver_upcall(&mut g.dom, 0, &mut g.regs), Step::Resume);
    assert_eq!(g.regs.rip, handler(2));
    assert!(g.dom.upcalls_masked(0) && g.dom.kicks() & 1 != 0);
    g.call_on(1, Nr::VcpuOp, &send).expect("returns");
    assert!(g.dom.vcpus[0].nmi.pending && !g.dom.vcpus[0].nmi_due());
    let frame = IretContext {
        cs: 0xe030,
        rip: handler(7),
        ..IretContext::default()
    };
    g.regs.rsp = g.put(&frame);
    g.syscall(Nr::Iret, [0; 2]);
    assert!(g.dom.vcpus[0].nmi_due());
}
