//! Where the builder puts everything: pure arithmetic on frame numbers.
//!
//! Mapped in a row from VIRT_BASE: kernel, initrd, p2m list, start_info, xenstore ring, console
//! ring, page tables, boot stack, padding. A p2m list that is mapped elsewhere (INIT_P2M), with
//! the tables that map it, and an initrd that is not mapped at all (MOD_START_PFN) come after.

use hypercalls::pte::HYPERVISOR_L4_SLOTS;
use hypercalls::{Level, PAGE_SIZE, Pfn, Vaddr};
use std::ops::Range;
use thiserror::Error;

/// The mapping goes on at least this far beyond the boot stack.
const PADDING: u64 = 512 << 10;
/// It ends at a multiple of this.
const END_ALIGN: u64 = 4 << 20;

/// Frames in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: Pfn,
    /// How many.
    pub pages: u64,
}

impl Span {
    /// The frame after the last.
    #[must_use]
    pub const fn end(self) -> Pfn {
        self.first.add(self.pages)
    }
    /// Whether `pfn` is one of them.
    #[must_use]
    pub const fn contains(self, pfn: Pfn) -> bool {
        pfn.0.wrapping_sub(self.first.0) < self.pages
    }
}

/// What the arithmetic starts from.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The virtual address of pseudo-physical address 0.
    pub virt_base: Vaddr,
    /// The kernel's pseudo-physical addresses in bytes.
    pub kernel: Range<u64>,
    /// Bytes of initrd, if there is one.
    pub initrd: Option<u64>,
    /// The initrd may stay unmapped.
    pub unmapped_initrd: bool,
    /// Where the guest wants its p2m list.
    pub init_p2m: Option<Vaddr>,
    /// Frames the guest has.
    pub nr_pages: u64,
}

/// Why things cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Not enough frames.
    #[error("{have} pages of memory are too few: {needed} are needed")]
    TooSmall {
        /// Frames there are.
        have: u64,
        /// Frames that would do.
        needed: u64,
    },
    /// The mapping would leave the addresses a guest has.
    #[error("{pages} pages from {from} do not lie in the guest's part of the address space")]
    Unmappable {
        /// First address.
        from: Vaddr,
        /// Pages.
        pages: u64,
    },
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The virtual address of frame 0.
    pub virt_base: Vaddr,
    /// Kernel.
    pub kernel: Span,
    /// Initrd.
    pub initrd: Option<Span>,
    /// It is not mapped.
    pub initrd_by_pfn: bool,
    /// The p2m list.
    pub p2m: Span,
    /// Where it is mapped.
    pub p2m_at: Vaddr,
    /// Tables that map it where it is apart, right after the list.
    pub p2m_tables: Span,
    /// The start_info page.
    pub start_info: Pfn,
    /// The xenstore ring.
    pub store: Pfn,
    /// The console ring.
    pub console: Pfn,
    /// Page tables, the L4 first.
    pub tables: Span,
    /// The boot stack.
    pub boot_stack: Pfn,
    /// Frames mapped from `virt_base` on.
    pub mapped: u64,
    /// Frames in use.
    pub end: Pfn,
}

impl Layout {
    /// Places everything.
    ///
    /// # Errors
    /// If memory is too small or an address cannot be mapped.
    pub fn new(needs: &Needs) -> Result<Layout, LayoutError> {
        let layout = place(needs)?;
        let have = needs.nr_pages;
        if layout.end.0 <= have {
            return Ok(layout);
        }
        // A larger memory has a larger p2m list: go on until the two agree.
        let mut needed = layout.end.0;
        while let Ok(larger) = place(&Needs {
            nr_pages: needed,
            ..needs.clone()
        }) && larger.end.0 > needed
        {
            needed = larger.end.0;
        }
        Err(LayoutError::TooSmall { have, needed })
    }

    /// Where a frame that is mapped in the row is.
    #[must_use]
    pub fn va(&self, pfn: Pfn) -> Vaddr {
        self.virt_base.add(pfn.0 * PAGE_SIZE)
    }

    /// Whether a frame holds a page table.
    #[must_use]
    pub fn is_table(&self, pfn: Pfn) -> bool {
        self.tables.contains(pfn) || self.p2m_tables.contains(pfn)
    }

    /// The p2m list and the tables that map it apart.
    #[must_use]
    pub fn p2m_all(&self) -> Span {
        Span {
            first: self.p2m.first,
            pages: self.p2m.pages + self.p2m_tables.pages,
        }
    }
}

/// Hands out frames one after the other.
struct Cursor(Pfn);

impl Cursor {
    fn take(&mut self, pages: u64) -> Span {
        let first = self.0;
        self.0 = Pfn(first.0.saturating_add(pages));
        Span { first, pages }
    }
}

fn place(needs: &Needs) -> Result<Layout, LayoutError> {
    let pages = |bytes: u64| bytes.div_ceil(PAGE_SIZE);
    let kernel_first = needs.kernel.start / PAGE_SIZE;
    let mut at = Cursor(Pfn(kernel_first));
    let kernel = at.take(pages(needs.kernel.end).saturating_sub(kernel_first));
    let by_pfn = needs.unmapped_initrd;
    let mut initrd = needs.initrd.filter(|_| !by_pfn).map(|n| at.take(pages(n)));
    let list = pages(needs.nr_pages.saturating_mul(8));
    let apart = needs
        .init_p2m
        .filter(|&va| is_apart(va, needs.virt_base, list));
    let mut p2m = if apart.is_none() {
        at.take(list)
    } else {
        Span::default()
    };
    let [start_info, store, console] = [(); 3].map(|()| at.take(1).first);
    let (tables, mapped) = tables(needs.virt_base, at.0)?;
    let tables = at.take(tables);
    let boot_stack = at.take(1).first;
    let mut p2m_tables = Span::default();
    at.0 = Pfn(mapped);
    if let Some(va) = apart {
        p2m = at.take(list);
        p2m_tables = at.take(table_count(va, list)? - 1);
    }
    if by_pfn {
        initrd = needs.initrd.map(|n| at.take(pages(n)));
    }
    let virt_base = needs.virt_base;
    Ok(Layout {
        virt_base,
        kernel,
        initrd,
        initrd_by_pfn: by_pfn,
        p2m,
        p2m_at: apart.unwrap_or(virt_base.add(p2m.first.0.wrapping_mul(PAGE_SIZE))),
        p2m_tables,
        start_info,
        store,
        console,
        tables,
        boot_stack,
        mapped,
        end: at.0,
    })
}

/// How many tables map the row of which `used` frames precede the tables, and its length with
/// the tables themselves, the stack and the padding.
fn tables(virt_base: Vaddr, used: Pfn) -> Result<(u64, u64), LayoutError> {
    let mut count = 4;
    loop {
        let bytes = used.0.saturating_add(count + 1).saturating_mul(PAGE_SIZE);
        let end = (virt_base.0.checked_add(bytes))
            .and_then(|end| end.checked_add(PADDING))
            .map(|end| end.div_ceil(END_ALIGN) as u128 * u128::from(END_ALIGN))
            .ok_or(LayoutError::Unmappable {
                from: virt_base,
                pages: bytes / PAGE_SIZE,
            })?;
        let mapped = ((end - u128::from(virt_base.0)) / u128::from(PAGE_SIZE)) as u64;
        let needed = table_count(virt_base, mapped)?;
        if needed <= count {
            return Ok((count, mapped));
        }
        count = needed;
    }
}

/// The tables of all levels that map `pages` pages from `from`.
fn table_count(from: Vaddr, pages: u64) -> Result<u64, LayoutError> {
    let unmappable = LayoutError::Unmappable { from, pages };
    let bytes = pages.checked_mul(PAGE_SIZE).filter(|&n| n != 0);
    let last = bytes
        .and_then(|n| from.0.checked_add(n - 1))
        .map(Vaddr)
        .ok_or(unmappable)?;
    if !from.is_canonical() || !last.is_canonical() || (from.0 ^ last.0) >> 63 != 0 {
        return Err(unmappable);
    }
    let slots = from.slot(Level::L4)..=last.slot(Level::L4);
    if slots.start() <= HYPERVISOR_L4_SLOTS.end() && slots.end() >= HYPERVISOR_L4_SLOTS.start() {
        return Err(unmappable);
    }
    let below = [Level::L2, Level::L3, Level::L4];
    let per = below.map(|above| (last.0 >> above.shift()) - (from.0 >> above.shift()) + 1);
    Ok(1 + per.iter().sum::<u64>())
}

/// Whether a p2m list of `pages` can have its own place: aligned, below the row and possible.
fn is_apart(va: Vaddr, virt_base: Vaddr, pages: u64) -> bool {
    let end = va.0.checked_add(pages.saturating_mul(PAGE_SIZE));
    va.offset() == 0 && end.is_some_and(|end| end <= virt_base.0) && table_count(va, pages).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Vaddr = Vaddr(0xffff_ffff_8000_0000);

    fn needs(mib: u64) -> Needs {
        Needs {
            virt_base: LINUX,
            kernel: 0x100_0000..0x2e0_0123,
            initrd: Some(0x5001),
            unmapped_initrd: false,
            init_p2m: None,
            nr_pages: mib * 256,
        }
    }

    #[test]
    fn a_row_in_xens_order() {
        let l = Layout::new(&needs(128)).expect("fits");
        assert_eq!((l.kernel.first, l.kernel.end()), (Pfn(0x1000), Pfn(0x2e01)));
        let initrd = l.initrd.expect("asked for");
        assert_eq!((initrd.first, initrd.pages), (Pfn(0x2e01), 6));
        assert_eq!((l.p2m.first, l.p2m.pages), (initrd.end(), 64));
        assert_eq!(l.start_info, l.p2m.end());
        assert_eq!(l.console, l.start_info.add(2));
        assert_eq!(l.tables.first, l.console.add(1));
        assert_eq!(l.boot_stack, l.tables.end());
        let slack = (l.mapped - l.boot_stack.0 - 1) * PAGE_SIZE;
        assert!((PADDING..PADDING + END_ALIGN).contains(&slack));
        // 48 MiB: 24 L1, 1 L2, 1 L3, 1 L4.
        assert_eq!((l.mapped * 4096, l.tables.pages), (48 << 20, 27));
        assert_eq!(l.end, Pfn(l.mapped));
    }

    #[test]
    fn linux_has_its_p2m_apart_and_its_initrd_unmapped() {
        let l = Layout::new(&Needs {
            unmapped_initrd: true,
            init_p2m: Some(Vaddr(0x80_0000_0000)),
            ..needs(128)
        })
        .expect("fits");
        assert_eq!(l.start_info, l.kernel.end());
        assert_eq!(
            (l.p2m.first, l.p2m_at),
            (Pfn(l.mapped), Vaddr(0x80_0000_0000))
        );
        // One L1, one L2, one L3.
        assert_eq!((l.p2m_tables.first, l.p2m_tables.pages), (l.p2m.end(), 3));
        assert_eq!(l.initrd.expect("asked for").first, l.p2m_all().end());
        assert!(l.is_table(l.p2m_tables.first) && !l.is_table(l.boot_stack));
    }

    #[test]
    fn a_p2m_address_that_cannot_be_is_ignored() {
        for bad in [
            LINUX.0,
            0x80_0000_0001,
            0xffff_8000_0000_0000,
            0x8000_0000_0000,
        ] {
            let l = Layout::new(&Needs {
                init_p2m: Some(Vaddr(bad)),
                ..needs(128)
            });
            assert_eq!(l.expect("fits").p2m_tables.pages, 0, "{bad:#x}");
        }
    }

    #[test]
    fn too_small_says_what_would_do() {
        let small = Layout::new(&needs(16));
        let Err(LayoutError::TooSmall { have: 4096, needed }) = small else {
            panic!("{small:?}");
        };
        let nr = |nr_pages| {
            Layout::new(&Needs {
                nr_pages,
                ..needs(0)
            })
        };
        assert!(nr(needed).is_ok());
        assert!(nr(needed - 1).is_err());
    }

    #[test]
    fn the_hole_and_the_end_of_addresses_are_refused() {
        for base in [
            0xffff_8000_0000_0000,
            0x7fff_ffe0_0000,
            0xffff_ffff_ffe0_0000,
        ] {
            let l = Layout::new(&Needs {
                virt_base: Vaddr(base),
                ..needs(128)
            });
            assert!(
                matches!(l, Err(LayoutError::Unmappable { .. })),
                "{base:#x}"
            );
        }
    }

    #[test]
    fn nothing_but_memory_is_a_layout_too() {
        let l = Layout::new(&Needs {
            kernel: 0..0,
            initrd: None,
            ..needs(8)
        })
        .expect("fits");
        assert_eq!((l.p2m.first, l.mapped * 4096), (Pfn(0), 4 << 20));
    }
}
