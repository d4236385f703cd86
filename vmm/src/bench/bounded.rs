//! How long one hypercall can hold the hypervisor: a tree of a million entries, all present, is
//! pinned and unpinned as a guest would have it done, and each trap timed. They are the same traps
//! each time: of each the quickest counts, which no other process interrupted, and of those the
//! longest. The tables are laid out once; the first pin adjusts every entry, the others none. Beside
//! it multicalls of calls that are long and touch no table.

use super::BenchError;
use crate::domain::{Domain, Regs, Step};
use crate::hypercall;
use crate::kvm::StartError;
use crate::report::bench::Measure;
use hypercalls::console::CONSOLEIO_WRITE;
use hypercalls::grant_table::GNTTABOP_UNMAP_GRANT_REF;
use hypercalls::mmu::{
    MMUEXT_PIN_L4_TABLE, MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_UNPIN_TABLE, MmuUpdate, MmuextOp,
};
use hypercalls::multicall::MulticallEntry;
use hypercalls::pte::ENTRIES;
use hypercalls::{DOMID_SELF, Mfn, Nr, PAGE_SIZE, Pte, PteFlags, Vaddr};
use std::time::Instant;
use zerocopy::{Immutable, IntoBytes};

/// Memory: the tables, and frames for the leaves to map.
const MEM_MIB: u64 = 64;
/// Tables of leaves, which map 4 GiB.
const L1S: u64 = 2048;
const PER_TABLE: u64 = ENTRIES as u64;
/// Frames the leaves map, each many times.
const DATA: u64 = 4096;
const SAMPLES: usize = 21;
/// Requests of a call, elements of a grant table call: as many as are handled.
const MOST: u64 = 4096;
/// Calls of a multicall.
const CALLS: u64 = 8;
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
        self.put(self.request, &op);
        let domain = u64::from(DOMID_SELF);
        self.finish(Nr::MmuextOp, [self.request.0, 1, 0, domain])
    }

    /// Multicalls, one of each kind of long call; how long their traps took, in ms.
    fn multicalls(&mut self) -> Result<Vec<f64>, BenchError> {
        let own = u64::from(DOMID_SELF);
        let (flushes, updates) = (self.page(2), self.page(32));
        let flush = MmuextOp {
            cmd: MMUEXT_TLB_FLUSH_LOCAL,
            ..MmuextOp::default()
        };
        let update = MmuUpdate {
            ptr: self
                .dom
                .first_mfn()
                .add(self.dom.layout.mapped - 1)
                .maddr()
                .0,
            val: 1,
        };
        (0..MOST).for_each(|i| self.put(flushes.add(24 * i), &flush));
        (0..MOST).for_each(|i| self.put(updates.add(16 * i), &update));
        let grants = self.page(64).0;
        let calls = [
            (Nr::MmuextOp, [flushes.0, MOST, 0, own, 0, 0]),
            (Nr::MmuUpdate, [updates.0, MOST, 0, own, 0, 0]),
            (
                Nr::GrantTableOp,
                [GNTTABOP_UNMAP_GRANT_REF.into(), grants, MOST, 0, 0, 0],
            ),
            (
                Nr::ConsoleIo,
                [CONSOLEIO_WRITE.into(), 64 * PAGE_SIZE, grants, 0, 0, 0],
            ),
        ];
        let mut traps = Vec::new();
        for (nr, args) in calls {
            let entry = MulticallEntry {
                op: nr as u64,
                result: 0,
                args,
            };
            let list = self.page(1);
            (0..CALLS).for_each(|i| self.put(list.add(64 * i), &entry));
            traps.extend(self.finish(Nr::Multicall, [list.0, CALLS, 0, 0])?);
        }
        Ok(traps)
    }

    /// A page after that of the request; there are 128 at least.
    fn page(&self, n: u64) -> Vaddr {
        self.request.add(n * PAGE_SIZE)
    }

    fn put<T: IntoBytes + Immutable>(&self, at: Vaddr, value: &T) {
        // Mapped by construction.
        let _ = self.dom.kernel_view(0).write_obj(at, value);
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

/// The longest trap of a pin, an unpin and what the unpin leaves to be done; and of the multicalls.
pub(super) fn measure() -> Result<[Measure; 2], BenchError> {
    let mut large = Large::new()?;
    let tree = longest(
        "longest trap of a pin and unpin of a million entries",
        || {
            let mut traps = large.operate(MMUEXT_PIN_L4_TABLE)?;
            traps.extend(large.operate(MMUEXT_UNPIN_TABLE)?);
            traps.extend(large.finish(Nr::XenVersion, [0; 4])?);
            Ok(traps)
        },
    )?;
    let calls = longest("longest trap of multicalls of long calls", || {
        large.multicalls()
    })?;
    Ok([tree, calls])
}

/// Of each trap the quickest of the samples; of those the longest.
fn longest(
    name: &str,
    mut traps: impl FnMut() -> Result<Vec<f64>, BenchError>,
) -> Result<Measure, BenchError> {
    let mut quickest: Vec<f64> = Vec::new();
    for _ in 0..SAMPLES {
        let known = quickest.iter().copied().chain(std::iter::repeat(f64::MAX));
        let traps = traps()?;
        let pairs = traps.iter().zip(known);
        quickest = pairs.map(|(&took, known)| took.min(known)).collect();
    }
    let longest = quickest.iter().copied().fold(0.0, f64::max);
    let mut measure = super::measure(name, "ms", vec![longest], None, LIMIT_MS);
    measure.n = SAMPLES as u64;
    Ok(measure)
}
