//! A breakpoint of the guest's that comes in a stub at CPL0 (XSA-260), on this host's KVM: the #DB is
//! put in front of the stub's first instruction, RSP where a guest would have it.

use super::super::cpuid;
use super::super::install::{self, Entry};
use super::super::open;
use super::super::vm::Vm;
use super::*;
use hypercalls::trap::{BP, DB};
use kvm_bindings::kvm_vcpu_events;

const FRAMES: u64 = 4;
const PATTERN: [u64; 512] = [0x5a5a_5a5a_5a5a_5a5a; 512];

/// A vCPU about to execute a stub, RSP at the end of a frame of the guest's by the physmap; `None`
/// without KVM.
struct Stub {
    cpu: Cpu,
    vm: Vm,
    rsp: u64,
}

impl Stub {
    fn new(rip: Vaddr) -> Option<Stub> {
        let Ok(kvm) = open::open() else {
            println!("skipped: no /dev/kvm");
            return None;
        };
        let layout = HvLayout::new(FRAMES, 1);
        let table = cpuid::table(&kvm, 0, false).expect("a table");
        let cpuid = cpuid::for_kvm(&table).expect("fits");
        let memory = Memory::new(layout.total_frames).expect("small");
        let vm = Vm::new(&kvm, memory, layout, Entry::Cpl0, cpuid).expect("a machine");
        let (root, victim) = (Mfn(layout.frames()), Mfn(layout.frames() + 1));
        let entry = install::l4_entry(&layout).0;
        let at = root.entry(layout::HYPERVISOR_SLOT as usize);
        vm.memory.write_u64(at, entry).expect("in memory");
        vm.memory
            .write_obj(victim.maddr(), &PATTERN)
            .expect("in memory");
        let rsp = HvLayout::physmap_va(victim.maddr().add(PAGE_SIZE)).0;
        let mut cpu = Cpu::new(&vm, 0).expect("a vCPU");
        cpu.load_stub(7, 0, root);
        let regs = &mut cpu.fd.sync_regs_mut().regs;
        (regs.rip, regs.rsp) = (rip.0, rsp);
        Some(Stub { cpu, vm, rsp })
    }

    /// Runs it, a #DB first.
    fn run(&mut self) -> Exit {
        let mut events = kvm_vcpu_events::default();
        (events.exception.injected, events.exception.nr) = (1, DB);
        // Registers first: setting them drops what is to be delivered.
        let sync = self.cpu.fd.sync_regs();
        self.cpu.fd.set_sregs(&sync.sregs).expect("segments");
        self.cpu.fd.set_regs(&sync.regs).expect("registers");
        self.cpu.fd.sync_regs_mut();
        self.cpu.fd.clear_sync_dirty_reg(SyncReg::Register);
        self.cpu.fd.clear_sync_dirty_reg(SyncReg::SystemRegister);
        self.cpu.fd.set_vcpu_events(&events).expect("an event");
        self.cpu.run()
    }

    /// Nothing was pushed where RSP pointed.
    fn is_untouched(&self) -> bool {
        let victim = Mfn(self.vm.layout.frames() + 1);
        let now: [u64; 512] = self.vm.memory.read_obj(victim.maddr()).expect("in memory");
        now == PATTERN
    }
}

#[test]
fn a_late_breakpoint_does_not_keep_a_hypercall_from_arriving() {
    let Some(mut stub) = Stub::new(layout::BASE) else {
        return;
    };
    let exit = stub.run();
    assert!(stub.is_untouched());
    assert!(matches!(exit, Exit::Syscall), "{exit:?}");
    let mut regs = Regs::default();
    stub.cpu.save(&exit, &mut regs).expect("saved");
    assert_eq!((regs.rip, regs.rsp), (7, stub.rsp), "rip is rcx");
}

#[test]
fn a_late_breakpoint_leaves_the_frame_of_the_exception_before_it() {
    let Some(mut stub) = Stub::new(HvLayout::stub_va(BP)) else {
        return;
    };
    let first: frame::Words = [0, 0x1234, 0x33, 2, 0x5678, 0x2b];
    let at = stub.vm.layout.cpu(0).maddr().add(frame::offset(BP));
    stub.vm.memory.write_obj(at, &first).expect("in memory");
    let exit = stub.run();
    assert!(stub.is_untouched());
    assert!(
        matches!(exit, Exit::Exception { vector: BP, .. }),
        "{exit:?}"
    );
    let mut regs = Regs::default();
    stub.cpu.save(&exit, &mut regs).expect("saved");
    assert_eq!((regs.rip, regs.rsp), (0x1234, 0x5678));
}
