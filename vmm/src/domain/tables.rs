//! The page tables a guest starts on, written before anything counts them.
//!
//! Comes in: the layout. Goes out: tables in the guest's memory, as the guest itself could have
//! written them; `Mm` validates and types them when the L4 is pinned.

use super::layout::{Layout, Span};
use crate::memory::{BadMaddr, Memory};
use hypercalls::{Level, Mfn, PAGE_SIZE, Pfn, Pte, PteFlags, Vaddr};

/// Flags of entries that point to tables.
const UPPER: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY)
    .union(PteFlags::USER);
/// Flags of entries that map read-only pages.
const LEAF: PteFlags = PteFlags::PRESENT.union(PteFlags::ACCESSED);

/// Writes the tables of `layout` for a guest whose frame 0 is `first`; the L4.
///
/// # Errors
/// If the layout leaves memory: a fault of the builder's.
pub(super) fn write(memory: &Memory, layout: &Layout, first: Mfn) -> Result<Mfn, BadMaddr> {
    let mut row = Tables::new(memory, layout.tables, first);
    let root = row.fresh()?;
    for pfn in (0..layout.mapped).map(Pfn) {
        let entry = leaf(layout, first, pfn);
        row.map(root, layout.va(pfn), entry)?;
    }
    if layout.p2m_tables.pages != 0 {
        let mut apart = Tables::new(memory, layout.p2m_tables, first);
        for i in 0..layout.p2m.pages {
            let entry = leaf(layout, first, layout.p2m.first.add(i));
            apart.map(root, layout.p2m_at.add(i * PAGE_SIZE), entry)?;
        }
    }
    Ok(root)
}

fn leaf(layout: &Layout, first: Mfn, pfn: Pfn) -> Pte {
    let entry = Pte::new(first.add(pfn.0), LEAF);
    if layout.is_table(pfn) {
        entry
    } else {
        entry.with(PteFlags::RW)
    }
}

/// Table frames, handed out as they are first needed.
struct Tables<'a> {
    memory: &'a Memory,
    next: Mfn,
    end: Mfn,
}

impl<'a> Tables<'a> {
    fn new(memory: &'a Memory, span: Span, first: Mfn) -> Tables<'a> {
        Tables {
            memory,
            next: first.add(span.first.0),
            end: first.add(span.end().0),
        }
    }

    fn fresh(&mut self) -> Result<Mfn, BadMaddr> {
        if self.next >= self.end {
            return Err(BadMaddr(self.next.maddr()));
        }
        let mfn = self.next;
        self.next = mfn.add(1);
        Ok(mfn)
    }

    fn map(&mut self, root: Mfn, va: Vaddr, entry: Pte) -> Result<(), BadMaddr> {
        let mut table = root;
        for level in [Level::L4, Level::L3, Level::L2] {
            let at = table.entry(va.slot(level));
            let present = Pte(self.memory.read_u64(at)?);
            table = if present.is_present() {
                present.mfn()
            } else {
                let fresh = self.fresh()?;
                self.memory.write_u64(at, Pte::new(fresh, UPPER).0)?;
                fresh
            };
        }
        self.memory
            .write_u64(table.entry(va.slot(Level::L1)), entry.0)
    }
}
