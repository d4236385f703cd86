//! The page walk, as the CPU does it, over copies: no knowledge of types or counts. Comes in: a
//! base frame and a virtual address. Goes out: every entry met and what they allow together.

use crate::memory::Memory;
use arrayvec::ArrayVec;
use hypercalls::{Level, Maddr, Mfn, Pte, PteFlags, Vaddr};
use thiserror::Error;

/// One step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level of the table.
    pub level: Level,
    /// Where the entry is.
    pub at: Maddr,
    /// What it held.
    pub pte: Pte,
}

/// A walk that reached a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The entries met, from L4 down; the last is the leaf.
    pub steps: ArrayVec<Step, 4>,
    /// The machine address the virtual one stands for.
    pub maddr: Maddr,
    /// The leaf.
    pub leaf: Pte,
    /// Where the leaf is.
    pub leaf_at: Maddr,
    /// Every entry allows writes.
    pub writable: bool,
    /// Every entry allows CPL3.
    pub user: bool,
    /// Some entry forbids fetches.
    pub nx: bool,
}

/// A walk that did not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalkFault {
    /// The address cannot be translated at all.
    #[error("{0} is not canonical")]
    NonCanonical(Vaddr),
    /// An entry is not present; it is the last of the steps.
    #[error("{va} is not mapped: {:?} entry not present", level(.steps))]
    NotPresent {
        /// The address.
        va: Vaddr,
        /// The entries met.
        steps: ArrayVec<Step, 4>,
    },
    /// A table, or the page, is outside memory.
    #[error("{va} leads outside memory, to frame {mfn}")]
    OutsideMemory {
        /// The address.
        va: Vaddr,
        /// The frame.
        mfn: Mfn,
        /// The entries met.
        steps: ArrayVec<Step, 4>,
    },
}

fn level(steps: &[Step]) -> Option<Level> {
    steps.last().map(|step| step.level)
}

/// Whether `pte` at `level` ends the walk.
fn is_leaf(level: Level, pte: Pte) -> bool {
    let large = matches!(level, Level::L2 | Level::L3) && pte.has(PteFlags::PSE);
    level == Level::L1 || large
}

/// Translates `va` by the tables at `root`.
///
/// # Errors
/// If it does not lead to a page in memory.
pub fn walk(mem: &Memory, root: Mfn, va: Vaddr) -> Result<Walk, WalkFault> {
    if !va.is_canonical() {
        return Err(WalkFault::NonCanonical(va));
    }
    let mut steps = ArrayVec::new();
    let mut table = root;
    for level in Level::ALL.into_iter().rev() {
        let outside = |mfn, steps: &ArrayVec<_, 4>| {
            let steps = steps.clone();
            WalkFault::OutsideMemory { va, mfn, steps }
        };
        let at = table.entry(va.slot(level));
        let raw = mem.read_u64(at).map_err(|_| outside(table, &steps))?;
        let pte = Pte(raw);
        steps.push(Step { level, at, pte });
        if !pte.is_present() {
            return Err(WalkFault::NotPresent { va, steps });
        }
        table = pte.mfn();
        if is_leaf(level, pte) {
            let maddr = page_address(level, pte, va);
            return match mem.contains(maddr.mfn()) {
                true => Ok(reached(steps, maddr, at, pte)),
                false => Err(outside(maddr.mfn(), &steps)),
            };
        }
    }
    Err(WalkFault::NotPresent { va, steps })
}

fn page_address(level: Level, leaf: Pte, va: Vaddr) -> Maddr {
    let within = (1 << level.shift()) - 1;
    Maddr(leaf.0 & Pte::MFN_MASK & !within | va.0 & within)
}

fn reached(steps: ArrayVec<Step, 4>, maddr: Maddr, leaf_at: Maddr, leaf: Pte) -> Walk {
    let all = |flag| steps.iter().all(|step| step.pte.has(flag));
    let (writable, user) = (all(PteFlags::RW), all(PteFlags::USER));
    let nx = steps.iter().any(|step| step.pte.has(PteFlags::NX));
    Walk {
        steps,
        maddr,
        leaf,
        leaf_at,
        writable,
        user,
        nx,
    }
}

/// The L1 table that translates `va`, and the entry in it, whether present or not.
#[must_use]
pub fn l1_entry(mem: &Memory, root: Mfn, va: Vaddr) -> Option<Maddr> {
    if !va.is_canonical() {
        return None;
    }
    let mut table = root;
    for level in [Level::L4, Level::L3, Level::L2] {
        let pte = Pte(mem.read_u64(table.entry(va.slot(level))).ok()?);
        if !pte.is_present() || is_leaf(level, pte) {
            return None;
        }
        table = pte.mfn();
    }
    mem.contains(table).then(|| table.entry(va.slot(Level::L1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::fixture::*;

    #[test]
    fn a_mapped_address() {
        let machine = Machine::new();
        let walk = walk(&machine.mem, L4, va(DATA).add(0x123)).expect("mapped");
        assert_eq!(walk.maddr, DATA.maddr().add(0x123));
        assert_eq!(walk.leaf_at, L1.entry((DATA.0 - FIRST) as usize));
        assert_eq!(walk.leaf.mfn(), DATA);
        assert_eq!(walk.steps.len(), 4);
        assert!(walk.writable && walk.user && !walk.nx);
    }

    /// Every level has a say in writes and fetches.
    #[test]
    fn rights_are_those_of_all_levels() {
        let leaf = L1.entry((DATA.0 - FIRST) as usize);
        for at in [L4.entry(SLOT as usize), L3.entry(0), L2.entry(0), leaf] {
            let machine = Machine::new();
            let pte = Pte(machine.peek(at));
            let less = pte
                .without(PteFlags::RW | PteFlags::USER)
                .with(PteFlags::NX);
            machine.poke(at, less.0);
            let walk = walk(&machine.mem, L4, va(DATA)).expect("mapped");
            assert!(!walk.writable && !walk.user && walk.nx, "{at}");
        }
    }

    #[test]
    fn faults_name_where_they_stopped() {
        let machine = Machine::new();
        let fault = |va| walk(&machine.mem, L4, va).expect_err("unmapped");
        let odd = Vaddr(1 << 47);
        assert_eq!(fault(odd), WalkFault::NonCanonical(odd));
        for (va, level) in [
            (Vaddr(0x1000), Level::L4),
            (va(L4).add(1 << 30), Level::L3),
            (va(L4).add(1 << 21), Level::L2),
            (va(L4).add(0x70_000), Level::L1),
        ] {
            let WalkFault::NotPresent { steps, .. } = fault(va) else {
                panic!("{va}");
            };
            assert_eq!(super::level(&steps), Some(level));
        }
        machine.poke(L3.entry(1), pte(Mfn(END), URW));
        let beyond = fault(va(L4).add(1 << 30));
        assert!(matches!(
            beyond,
            WalkFault::OutsideMemory { mfn: Mfn(END), .. }
        ));
        assert!(walk(&machine.mem, Mfn(u64::MAX), va(DATA)).is_err());
    }

    #[test]
    fn large_pages_end_the_walk() {
        let machine = Machine::new();
        machine.poke(L2.entry(1), pte(Mfn(0), URW | 0x80));
        let at = va(L4).add(1 << 21).add(0x1_2345);
        let walk = walk(&machine.mem, L4, at).expect("mapped");
        assert_eq!((walk.maddr, walk.steps.len()), (Maddr(0x1_2345), 3));
        assert_eq!(l1_entry(&machine.mem, L4, at), None);
    }
}
