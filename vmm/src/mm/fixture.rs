//! A small machine for tests: one guest with one live set of tables, and its roots on record.
//!
//! Frames 0..4 are the hypervisor's (0 the M2P, 2 shared), 4..68 the guest's. Tables: L4 4, L3 5,
//! L2 6, L1 7. Guest frame f is mapped at [`va`]`(f)`: tables, the GDT page and the free frames
//! read-only, data read-write.

use super::recount::{Roots, recount};
use super::{Mm, Update};
use crate::hypercall::mmu::Mmu;
use crate::hypercall::mmuext::Ldt;
use crate::memory::Memory;
use crate::stats::Operations;
use hypercalls::mmu::{MmuUpdate, MmuextOp};
use hypercalls::{Errno, Level, Maddr, Mfn, Pte, Vaddr};
use zerocopy::{Immutable, IntoBytes};

pub(crate) const M2P: Mfn = Mfn(0);
pub(crate) const SHARED: Mfn = Mfn(2);
pub(crate) const FIRST: u64 = 4;
pub(crate) const END: u64 = 68;
pub(crate) const L4: Mfn = Mfn(4);
pub(crate) const L3: Mfn = Mfn(5);
pub(crate) const L2: Mfn = Mfn(6);
pub(crate) const L1: Mfn = Mfn(7);
/// Data frames, mapped read-write.
pub(crate) const DATA: Mfn = Mfn(8);
pub(crate) const DATA2: Mfn = Mfn(9);
/// Frames mapped read-only and of no type: FREE..GDT.
pub(crate) const FREE: Mfn = Mfn(32);
pub(crate) const GDT: Mfn = Mfn(58);
/// Where hypercall arguments and results are put.
pub(crate) const REQUESTS: Mfn = Mfn(60);
pub(crate) const DONE: Mfn = Mfn(61);
/// What nobody has written to a result.
pub(crate) const UNTOUCHED: u32 = 0xdead;
pub(crate) const DOMID: u16 = 7;
pub(crate) const SELF: u64 = hypercalls::DOMID_SELF as u64;
/// The L4 slot of the guest's mappings.
pub(crate) const SLOT: u64 = 272;
pub(crate) const HV_ENTRY: u64 = 0x1027;
/// Flags of entries.
pub(crate) const RO: u64 = 0x61;
pub(crate) const RW: u64 = 0x63;
pub(crate) const URW: u64 = 0x67;

/// Where the guest has frame `mfn` mapped.
pub(crate) fn va(mfn: Mfn) -> Vaddr {
    Vaddr::from_l4_slot(SLOT).add((mfn.0 - FIRST) << 12)
}

/// An entry for `mfn` with raw flag bits.
pub(crate) fn pte(mfn: Mfn, flags: u64) -> u64 {
    mfn.maddr().0 | flags
}

pub(crate) struct Machine {
    pub(crate) mem: Memory,
    pub(crate) mm: Mm,
    pub(crate) kernel_base: Mfn,
    pub(crate) user_base: Option<Mfn>,
    pub(crate) ldt: Ldt,
    pub(crate) operations: Operations,
    pub(crate) roots: Roots,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let mem = Memory::new(END).expect("memory");
        let mut mm = Mm::new(END, Mfn(FIRST)..Mfn(END), HV_ENTRY, M2P.maddr());
        mm.set_vcpus(0b11);
        let poke = |at: Maddr, value| mem.write_u64(at, value).expect("in memory");
        poke(L4.entry(SLOT as usize), pte(L3, URW));
        poke(L3.entry(0), pte(L2, URW));
        poke(L2.entry(0), pte(L1, URW));
        for frame in FIRST..END {
            let writable = (DATA.0..FREE.0).contains(&frame) || frame > GDT.0;
            let flags = if writable { RW } else { RO };
            poke(L1.entry((frame - FIRST) as usize), pte(Mfn(frame), flags));
        }
        mm.pin(&mem, Level::L4, L4).expect("L4 is right");
        mm.new_baseptr(&mem, None, L4).expect("L4 is right");
        mm.get_seg_desc(&mem, GDT).expect("GDT is right");
        mm.share(SHARED).expect("hypervisor frame");
        let roots = Roots {
            pins: vec![(Level::L4, L4)],
            bases: vec![L4],
            held: Vec::new(),
            descriptors: vec![GDT],
            writable: vec![SHARED],
        };
        mm.take_effects();
        Machine {
            mem,
            mm,
            kernel_base: L4,
            user_base: None,
            ldt: Ldt::default(),
            operations: Operations::default(),
            roots,
        }
    }

    pub(crate) fn mmu(&mut self) -> Mmu<'_> {
        Mmu {
            mm: &mut self.mm,
            mem: &self.mem,
            cpu: 0,
            domid: DOMID,
            kernel_base: &mut self.kernel_base,
            user_base: &mut self.user_base,
            ldt: &mut self.ldt,
            operations: &mut self.operations,
        }
    }

    pub(crate) fn peek(&self, at: Maddr) -> u64 {
        self.mem.read_u64(at).expect("in memory")
    }

    pub(crate) fn poke(&self, at: Maddr, value: u64) {
        self.mem.write_u64(at, value).expect("in memory");
    }

    /// A write as `mmu_update` makes it; what the guest is told.
    pub(crate) fn set(&mut self, at: Maddr, value: u64) -> Result<(), Errno> {
        let set = self
            .mm
            .set_pte(&self.mem, at, Pte(value), Update::default());
        set.map_err(|refusal| refusal.errno())
    }

    pub(crate) fn pin(&mut self, level: Level, mfn: Mfn) -> Result<(), Errno> {
        let pinned = self.mm.pin(&self.mem, level, mfn);
        pinned.map_err(|refusal| refusal.errno())?;
        self.roots.pins.push((level, mfn));
        Ok(())
    }

    pub(crate) fn unpin(&mut self, mfn: Mfn) -> Result<(), Errno> {
        let unpinned = self.mm.unpin(&self.mem, mfn);
        unpinned.map_err(|refusal| refusal.errno())?;
        self.roots.pins.retain(|&(_, pinned)| pinned != mfn);
        Ok(())
    }

    /// Puts `requests` where the guest can name them, and marks the done count as untouched.
    pub(crate) fn put<T: IntoBytes + Immutable>(&self, requests: &[T]) {
        let bytes = requests.as_bytes();
        self.mem.write(REQUESTS.maddr(), bytes).expect("one page");
        let done = self.mem.write_obj(DONE.maddr(), &UNTOUCHED);
        done.expect("in memory");
    }

    pub(crate) fn done(&self) -> u32 {
        self.mem.read_obj(DONE.maddr()).expect("in memory")
    }

    /// `mmu_update` of these requests: result and done count.
    pub(crate) fn mmu_update(&mut self, requests: &[(u64, u64)], foreign: u64) -> (i64, u32) {
        let requests: Vec<_> = requests
            .iter()
            .map(|&(ptr, val)| MmuUpdate { ptr, val })
            .collect();
        self.put(&requests);
        let args = [
            va(REQUESTS).0,
            requests.len() as u64,
            va(DONE).0,
            foreign,
            0,
            0,
        ];
        let progress = crate::hypercall::mmu::mmu_update(&mut self.mmu(), args);
        (finished(progress), self.done())
    }

    /// `mmuext_op` of these operations: result and done count.
    pub(crate) fn mmuext(&mut self, ops: &[(u32, u64, u64)], foreign: u64) -> (i64, u32) {
        let ops: Vec<_> = ops
            .iter()
            .map(|&(cmd, arg1, arg2)| MmuextOp {
                cmd,
                pad: 0,
                arg1,
                arg2,
            })
            .collect();
        self.put(&ops);
        let args = [va(REQUESTS).0, ops.len() as u64, va(DONE).0, foreign, 0, 0];
        let progress = crate::hypercall::mmuext::mmuext_op(&mut self.mmu(), args);
        self.sync_bases();
        (finished(progress), self.done())
    }

    /// Puts on record as roots what `mmuext_op` made base pointers.
    fn sync_bases(&mut self) {
        self.roots.bases = vec![self.kernel_base];
        self.roots.bases.extend(self.user_base);
    }

    /// Fails the test if any count is wrong or a table is writable.
    #[track_caller]
    pub(crate) fn check(&self) {
        let roots = Roots {
            held: self.mm.kept().collect(),
            ..self.roots.clone()
        };
        let wrong = recount(&self.mem, &self.mm, &roots);
        let lines: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "{}", lines.join("\n"));
    }
}

#[track_caller]
fn finished(progress: crate::hypercall::mmu::Progress) -> i64 {
    match progress {
        crate::hypercall::mmu::Progress::Done(result) => result,
        other => panic!("cut short: {other:?}"),
    }
}
