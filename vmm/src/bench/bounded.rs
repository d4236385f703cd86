//! How long one hypercall can hold the hypervisor: a tree of a million entries, all present, is
//! pinned and unpinned as a guest would have it done, and each trap timed. They are the same traps
//! each time: of each the quickest counts, which no other process interrupted, and of those the
//! longest. The tables are laid out once; the first pin adjusts every entry, the others none.

use super::BenchError;
use crate::domain::{Domain, Regs, Step};
use crate::hypercall;
use crate::kvm::StartError;
use crate::report::bench::Measure;
use hypercalls::mmu::{MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE, MmuextOp};
use hypercalls::pte::ENTRIES;
use hypercalls::{DOMID_SELF, Mfn, Nr, Pte, PteFlags, Vaddr};
use std::time::Instant;

/// Memory: the tables, and frames for the leaves to map.
const MEM_MIB: u64 = 64;
/// Tables of leaves, which map 4 GiB.
const L1S: u64 = 2048;
const PER_TABLE: u64 = ENTRIES as u64;
/// Frames the leaves map, each many times.
const DATA: u64 = 4096;
const SAMPLES: usize = 21;
/// A few milliseconds.
const LIMIT_MS: f64 = 5.0;

/// A domain with such a tree in frames that nothing else uses.
struct Large {
    dom: Domain,
    regs: Regs,
    root: Mfn,
    request: Vaddr,
}

impl Large {
    fn new() -> Result<Large, BenchError> {
        let (mut dom, regs) = Domain::bare(MEM_MIB, 1).map_err(StartError::Build)?;
        dom.mm.show_stores(None);
        let root = dom.first_mfn().add(dom.layout.mapped);
        let request = dom.layout.va(dom.layout.boot_stack.add(1));
        let large = Large {
            dom,
            regs,
            root,
            request,
        };
        large.lay();
        Ok(large)
    }

    fn lay(&self) {
        let (l3, l2) = (self.root.add(1), self.root.add(2));
        let l2s = L1S / PER_TABLE;
        let l1 = l2.add(l2s);
        let data = l1.add(L1S);
        self.store(self.root, 0, l3);
        (0..l2s).for_each(|i| self.store(l3, i, l2.add(i)));
        (0..L1S).for_each(|i| self.store(l2, i, l1.add(i)));
        (0..L1S * PER_TABLE).for_each(|i| self.store(l1, i, data.add(i % DATA)));
    }

    /// Writes entry `i` of the tables from `first` on.
    fn store(&self, first: Mfn, i: u64, to: Mfn) {
        let at = first.add(i / PER_TABLE).entry((i % PER_TABLE) as usize);
        let flags = PteFlags::PRESENT | PteFlags::RW | PteFlags::USER;
        // In memory by construction.
        let _ = self.dom.memory.write_u64(at, Pte::new(to, flags).0);
    }

    /// One operation on the tree; how long its traps took, in ms.
    fn operate(&mut self, cmd: u32) -> Result<Vec<f64>, BenchError> {
        let op = MmuextOp {
            cmd,
            arg1: self.root.0,
            ..MmuextOp::default()
        };
        // Mapped by construction.
        let _ = self.dom.kernel_view(0).write_obj(self.request, &op);
        let domain = u64::from(DOMID_SELF);
        self.finish(Nr::MmuextOp, [self.request.0, 1, 0, domain])
    }

    /// Executes a hypercall until it is over; how long its traps took, in ms.
    fn finish(&mut self, nr: Nr, args: [u64; 4]) -> Result<Vec<f64>, BenchError> {
        let (rip, mut traps) = (self.regs.rip, Vec::new());
        let regs = &mut self.regs;
        regs.rax = nr as u64;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10] = args;
        loop {
            let start = Instant::now();
            let step = hypercall::syscall(&mut self.dom, 0, regs);
            traps.push(start.elapsed().as_secs_f64() * 1e3);
            self.dom.take_effects();
            if regs.rip == rip {
                break;
            }
            if step != Step::Resume {
                return Err(BenchError::Guest(format!("was stopped: {step:?}")));
            }
            regs.rip = rip;
        }
        match regs.rax as i64 {
            0.. => Ok(traps),
            refused => Err(BenchError::Guest(format!("was refused: {refused}"))),
        }
    }
}

/// The longest trap of a pin, an unpin and what the unpin leaves to be done.
pub(super) fn measure() -> Result<Measure, BenchError> {
    let mut large = Large::new()?;
    let mut quickest: Vec<f64> = Vec::new();
    for _ in 0..SAMPLES {
        let mut traps = large.operate(MMUEXT_PIN_L4_TABLE)?;
        traps.extend(large.operate(MMUEXT_UNPIN_TABLE)?);
        traps.extend(large.finish(Nr::XenVersion, [0; 4])?);
        let known = quickest.iter().copied().chain(std::iter::repeat(f64::MAX));
        let pairs = traps.iter().zip(known);
        quickest = pairs.map(|(&took, known)| took.min(known)).collect();
    }
    let longest = quickest.iter().copied().fold(0.0, f64::max);
    let name = "longest trap of a pin and unpin of a million entries";
    let mut measure = super::measure(name, "ms", vec![longest], None, LIMIT_MS);
    measure.n = SAMPLES as u64;
    Ok(measure)
}
