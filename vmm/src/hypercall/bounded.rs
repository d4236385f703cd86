//! No hypercall holds the hypervisor long (XSA-45, XSA-58, XSA-290): trees of any size are promoted
//! and demoted a part at a time, the call executed again for the next; the vCPU takes its events in
//! between, and others get their turn.

use super::batch::MAX_WORK;
use crate::domain::fixture::Guest;
use crate::domain::{Domain, Step};
use crate::mm::FrameType;
use hypercalls::mmu::*;
use hypercalls::pte::ENTRIES;
use hypercalls::{DOMID_SELF, Errno, Mfn, Nr, Pte, PteFlags};
use std::time::Instant;

/// L1 tables of the tree: 512 MiB of tables that are all the guest's, so 2^26 entries.
const L1S: u64 = (512 << 20) / 4096;
const PER_TABLE: u64 = ENTRIES as u64;
/// Entries of one L1, which is done in one go, and a few for what is done before one looks.
const SLACK: u64 = 2 * PER_TABLE;

/// A domain with such a tree in frames that nothing else uses.
struct Big {
    guest: Guest,
    root: Mfn,
    l1: Mfn,
}

impl Big {
    fn new(cpus: usize) -> Big {
        let (mut dom, regs) = Domain::bare(600, cpus).expect("memory");
        dom.clock = crate::domain::Clock::manual();
        let next = dom.layout.boot_stack.add(1);
        let guest = Guest { dom, regs, next };
        let root = guest.dom.first_mfn().add(guest.dom.layout.mapped);
        let (l3, l2) = (root.add(1), root.add(2));
        let l2s = L1S / PER_TABLE;
        let l1 = l2.add(l2s);
        let big = Big { guest, root, l1 };
        big.poke(root, 0, l3);
        for i in 0..l2s {
            big.poke(l3, i, l2.add(i));
        }
        for i in 0..L1S {
            big.poke(l2.add(i / PER_TABLE), i % PER_TABLE, l1.add(i));
        }
        big
    }

    fn poke(&self, table: Mfn, slot: u64, below: Mfn) {
        let flags = PteFlags::PRESENT | PteFlags::RW | PteFlags::USER;
        let at = table.entry(slot as usize);
        let written = self
            .guest
            .dom
            .memory
            .write_u64(at, Pte::new(below, flags).0);
        written.expect("in memory");
    }

    /// The registers of `mmuext_op` of one operation.
    fn ask(&mut self, cmd: u32) {
        let op = MmuextOp {
            cmd,
            arg1: self.root.0,
            ..MmuextOp::default()
        };
        let at = self.guest.put(&op);
        let regs = &mut self.guest.regs;
        regs.rax = Nr::MmuextOp as u64;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10] = [at, 1, 0, u64::from(DOMID_SELF)];
    }

    /// One trap; whether the call is to be executed again.
    #[track_caller]
    fn trap(&mut self) -> bool {
        let Guest { dom, regs, .. } = &mut self.guest;
        let (rip, before) = (regs.rip, dom.mm.work());
        let step = super::syscall(dom, 0, regs);
        assert_eq!(step, Step::Resume);
        assert!(dom.mm.work() - before <= MAX_WORK + SLACK, "bounded");
        let again = regs.rip != rip;
        regs.rip = rip;
        again
    }

    /// Traps until the call is over: how many, and its result.
    #[track_caller]
    fn finish(&mut self) -> (u64, i64) {
        let start = Instant::now();
        let mut traps = 1;
        while self.trap() {
            traps += 1;
        }
        println!("{traps} traps, {:?} each", start.elapsed() / traps as u32);
        (traps, self.guest.regs.rax as i64)
    }

    fn kind(&self, mfn: Mfn) -> FrameType {
        self.guest.dom.mm.type_of(mfn)
    }

    /// Traps of another kind, until nothing is under way any more: how many.
    fn settle(&mut self) -> u64 {
        self.guest.regs.rax = Nr::XenVersion as u64;
        self.guest.regs.rdi = 0;
        let (traps, result) = self.finish();
        assert!(result > 0, "a version");
        traps
    }
}

/// What a whole pass takes.
const SLICES: u64 = L1S * PER_TABLE / MAX_WORK;

#[test]
fn a_huge_tree_is_pinned_and_unpinned_in_parts() {
    let mut big = Big::new(1);
    big.ask(MMUEXT_PIN_L4_TABLE);
    let (traps, result) = big.finish();
    assert_eq!(result, 0);
    assert!((SLICES..=2 * SLICES).contains(&traps), "{traps}");
    assert_eq!(big.kind(big.l1.add(L1S - 1)), FrameType::L1);
    assert!(big.guest.dom.mm.is_pinned(big.root));
    big.guest.recount();
    // Nobody waits for a demotion: whatever comes next goes on with it.
    big.ask(MMUEXT_UNPIN_TABLE);
    assert_eq!(big.finish(), (1, 0));
    assert!(big.settle() >= SLICES);
    assert_eq!(big.kind(big.l1), FrameType::None);
    assert_eq!(big.kind(big.root), FrameType::None);
    big.guest.recount();
    let counters = big.guest.dom.stats.counters;
    assert!(counters.continuations >= 2 * SLICES - 2);
}

/// The very last entry of the very last table is wrong: everything is given back, in parts too.
#[test]
fn a_huge_tree_that_is_refused_is_undone_in_parts() {
    let mut big = Big::new(1);
    let last = big.l1.add(L1S - 1).entry(511);
    let written = big.guest.dom.memory.write_u64(last, Pte::MFN_MASK | 1);
    written.expect("in memory");
    big.ask(MMUEXT_PIN_L4_TABLE);
    let (traps, result) = big.finish();
    assert_eq!(result, Errno::EINVAL.to_ret());
    assert!((2 * SLICES..=3 * SLICES).contains(&traps), "{traps}");
    assert_eq!(big.kind(big.l1), FrameType::None);
    assert_eq!(big.guest.dom.mm.counts(big.root), (0, 0));
    big.guest.recount();
}

/// A guest that never executes its call again keeps nothing waiting; if it does so late, it finds
/// what was done meanwhile.
#[test]
fn others_go_on_with_what_was_left() {
    let mut big = Big::new(1);
    big.ask(MMUEXT_PIN_L4_TABLE);
    assert!(big.trap());
    let asked = big.guest.regs;
    assert!(big.settle() >= SLICES - 2);
    assert!(!big.guest.dom.mm.is_pinned(big.root));
    big.guest.recount();
    big.guest.regs = asked;
    assert_eq!(big.finish(), (1, 0));
    assert!(big.guest.dom.mm.is_pinned(big.root));
    big.guest.recount();
}

/// The same by one entry of a live table, and by what replaces it.
#[test]
fn one_entry_can_be_a_huge_tree() {
    let mut big = Big::new(1);
    let live = big.guest.dom.vcpus[0].kernel_base.entry(0).0;
    let below = big.guest.dom.memory.read_u64(big.root.entry(0));
    for (val, least) in [(below.expect("in memory"), SLICES), (0, 1)] {
        let at = big.guest.put(&MmuUpdate { ptr: live, val });
        let regs = &mut big.guest.regs;
        regs.rax = Nr::MmuUpdate as u64;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10] = [at, 1, 0, u64::from(DOMID_SELF)];
        let (traps, result) = big.finish();
        assert_eq!(result, 0);
        assert!(traps >= least);
        big.settle();
        big.guest.recount();
    }
    assert_eq!(big.kind(big.l1), FrameType::None);
}
