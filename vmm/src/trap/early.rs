//! Traps that other vCPUs must flush for first: nothing is done, they come again, and then it is.

use crate::domain::Step;
use crate::domain::fixture::Guest;
use crate::mm::{FrameType, walk};
use hypercalls::mmu::{MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE, MmuextOp};
use hypercalls::trap::{GP, PF, PFEC_PRESENT, PFEC_USER, PFEC_WRITE};
use hypercalls::vm_assist::VMASST_TYPE_WRITABLE_PAGETABLES;
use hypercalls::{DOMID_SELF, Mfn, Nr, Pfn, Pte, PteFlags, Vaddr};

/// A page that is read-only now, and was not.
fn read_only(g: &mut Guest) -> (Vaddr, Mfn) {
    let (va, mfn) = g.page();
    let entry = Pte::new(mfn, PteFlags::PRESENT).0;
    g.ok(Nr::UpdateVaMapping, &[va.0, entry, 0]);
    (va, mfn)
}

/// An exception that comes again once everybody has flushed; the instruction has `len` bytes.
#[track_caller]
fn twice(g: &mut Guest, (vector, error, cr2): (u8, u64, u64), len: u64) {
    let rip = g.regs.rip;
    assert_eq!(g.fault(vector, error, cr2), Step::Resume);
    assert!(g.dom.mm.awaits_flush());
    assert_eq!(g.regs.rip, rip);
    g.recount();
    assert_eq!(g.dom.take_effects().flush.vcpus, 0b11);
    assert_eq!(g.fault(vector, error, cr2), Step::Resume);
    assert!(!g.dom.mm.awaits_flush());
    assert_eq!(g.regs.rip, rip + len);
    g.recount();
}

#[test]
fn a_load_of_cr3_waits() {
    let mut g = Guest::new(2);
    let (_, root) = read_only(&mut g);
    g.code(&[0x0f, 0x22, 0xd8]);
    g.regs.rax = root.maddr().0;
    let before = g.dom.stats.counters.emulated_instructions;
    twice(&mut g, (GP, 0, 0), 3);
    assert_eq!(g.dom.vcpus[0].kernel_base, root);
    assert_eq!(g.dom.stats.counters.emulated_instructions, before + 1);
}

/// A table that is none any more is mapped writable by the kernel's own store.
#[test]
fn a_write_to_a_live_table_waits() {
    let mut g = Guest::new(2);
    g.dom.assists = 1 << VMASST_TYPE_WRITABLE_PAGETABLES;
    let (va, mfn) = read_only(&mut g);
    for cmd in [MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE] {
        let arg1 = mfn.0;
        let op = MmuextOp {
            cmd,
            arg1,
            ..MmuextOp::default()
        };
        let at = g.put(&op);
        g.ok(Nr::MmuextOp, &[at, 1, 0, u64::from(DOMID_SELF)]);
    }
    let root = g.dom.vcpus[0].kernel_base;
    let at = walk::l1_entry(&g.dom.memory, root, va).expect("mapped");
    let table = Pfn(at.mfn().0 - g.dom.first_mfn().0);
    let entry = g.dom.layout.va(table).add(at.offset());
    g.code(&[0x48, 0x89, 0x0b]);
    let new = Pte::new(mfn, PteFlags::PRESENT | PteFlags::RW).0;
    (g.regs.rbx, g.regs.rcx) = (entry.0, new);
    let error = PFEC_PRESENT | PFEC_WRITE | PFEC_USER;
    twice(&mut g, (PF, error, entry.0), 3);
    assert_eq!(g.dom.mm.type_of(mfn), FrameType::Writable);
    assert_eq!(g.dom.stats.counters.emulated_writes, 1);
}
