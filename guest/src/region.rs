//! A range of virtual addresses with page tables of its own: an L4 slot, an L3, an L2 and as many
//! L1s as its entries need. Built as plain frames, then linked; unlinked and given back at the
//! end of the cell. Comes in: a place and the entries to begin with; goes out: addresses.

use crate::frames::PER_TABLE;
use crate::kernel::Os;
use crate::work::Stop;
use hypercalls::lab::Cause;
use hypercalls::mmu::MmuUpdate;
use hypercalls::{Level, Maddr, Mfn, Pte, PteFlags, Vaddr};

/// Where a region lies; also its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The workload's own, in a process.
    User = 0,
    /// A second one: the copy, the destination.
    Second = 1,
    /// In the kernel's part, where vmalloc lies.
    Kernel = 2,
    /// A second one there: fixed maps, what an interrupt writes.
    Fixmap = 3,
}

impl Place {
    /// Every place.
    pub(crate) const ALL: [Place; 4] = [Place::User, Place::Second, Place::Kernel, Place::Fixmap];

    /// The L4 slot.
    fn slot(self) -> u64 {
        match self {
            Place::User => 128,
            Place::Second => 129,
            // 0xffffc90000000000, where Linux begins vmalloc.
            Place::Kernel => 402,
            Place::Fixmap => 403,
        }
    }

    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::User => "user",
            Place::Second => "second",
            Place::Kernel => "kernel",
            Place::Fixmap => "fixmap",
        }
    }
}

/// Flags of entries above L1.
const TABLE: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::USER)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY);

/// A built region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// Where.
    pub place: Place,
    /// How many entries it has.
    pub count: usize,
    /// Number of its first table frame: the L3, then the L2, then the L1s.
    first: u64,
}

impl Region {
    /// The virtual address that entry `i` maps.
    pub(crate) fn va(&self, i: usize) -> Vaddr {
        Vaddr::from_l4_slot(self.place.slot()).add((i as u64) << Level::L1.shift())
    }

    /// The machine address of entry `i`.
    pub(crate) fn at(&self, os: Os<'_>, i: usize) -> Maddr {
        os.table(self.first + 2 + (i / PER_TABLE) as u64)
            .entry(i % PER_TABLE)
    }

    /// The machine address of the L2 entry for table `table`.
    pub(crate) fn l2_at(&self, os: Os<'_>, table: usize) -> Maddr {
        os.table(self.first + 1).entry(table)
    }

    /// How many L1s it has.
    pub(crate) fn tables(&self) -> usize {
        self.count.div_ceil(PER_TABLE)
    }

    /// Builds and links a region of `count` entries that begin as `init` says.
    pub(crate) fn build(
        os: Os<'_>,
        place: Place,
        count: usize,
        init: &dyn Fn(usize) -> Pte,
    ) -> Result<Region, Stop> {
        let region = Region {
            place,
            count,
            first: os.tables_taken(),
        };
        let l3 = take(os)?;
        let l2 = take(os)?;
        for table in 0..region.tables() {
            let l1 = take(os)?;
            let from = table * PER_TABLE;
            for i in from..count.min(from + PER_TABLE) {
                os.machine.store_pte(l1.entry(i - from), init(i));
            }
            os.machine.protect(l1, true);
            os.machine.store_pte(l2.entry(table), Pte::new(l1, TABLE));
        }
        os.machine.protect(l2, true);
        os.machine.store_pte(l3.entry(0), Pte::new(l2, TABLE));
        os.machine.protect(l3, true);
        link(os, place, Pte::new(l3, TABLE))?;
        os.core.oracle.regions[place as usize].set(Some(region));
        Ok(region)
    }
}

impl Os<'_> {
    /// Takes table `table` out of its L2; the entry that puts it back.
    pub(crate) fn unlink_table(self, r: &Region, table: usize) -> Result<Pte, Stop> {
        let at = r.l2_at(self, table);
        let l1 = self.table(r.first + 2 + table as u64);
        let rc = self.update_now(Cause::Kernel, MmuUpdate { ptr: at.0, val: 0 });
        if rc < 0 {
            Err(Stop::Error("an L2 entry was refused"))
        } else {
            Ok(Pte::new(l1, TABLE))
        }
    }
}

impl Os<'_> {
    /// Lets `r`'s L2 name its first table in every free entry up to number `count`.
    pub(crate) fn repeat_table(self, r: &Region, count: usize) -> Result<(), Stop> {
        let l1 = Pte::new(self.table(r.first + 2), TABLE);
        (r.tables()..count).try_for_each(|n| {
            let (ptr, val) = (r.l2_at(self, n).0, l1.0);
            let rc = self.update_now(Cause::Kernel, MmuUpdate { ptr, val });
            match rc {
                0 => Ok(()),
                _ => Err(Stop::Error("an L2 entry was refused")),
            }
        })
    }
}

fn take(os: Os<'_>) -> Result<Mfn, Stop> {
    os.table_frame()
        .ok_or(Stop::Error("no frame left for a page table"))
}

fn link(os: Os<'_>, place: Place, entry: Pte) -> Result<(), Stop> {
    let at = os.machine.root().entry(place.slot() as usize);
    let rc = os.update_now(
        Cause::Kernel,
        MmuUpdate {
            ptr: at.0,
            val: entry.0,
        },
    );
    if rc < 0 {
        Err(Stop::Error("the L4 entry of a region was refused"))
    } else {
        Ok(())
    }
}

/// Unlinks every region and gives its frames back.
pub(crate) fn tear_down(os: Os<'_>) -> Result<(), Stop> {
    for place in Place::ALL {
        if os.core.oracle.regions[place as usize].take().is_some() {
            link(os, place, Pte::EMPTY)?;
        }
    }
    (0..os.tables_taken()).for_each(|n| os.machine.protect(os.table(n), false));
    os.core.pool.reset();
    Ok(())
}
