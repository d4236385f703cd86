//! All of the guest's memory at one place, frame after frame by pfn: how the kernel reaches
//! frames the builder did not map, and page tables (read-only).
#![allow(
    unsafe_code,
    reason = "turns frame numbers into the addresses they are mapped at"
)]

use crate::hypercall;
use core::sync::atomic::{AtomicU64, Ordering};
use hypercalls::mmu::{MMU_NORMAL_PT_UPDATE, MmuUpdate, UVMF_INVLPG};
use hypercalls::pte::{ENTRIES, PteFlags};
use hypercalls::start_info::StartInfo;
use hypercalls::{DOMID_SELF, Level, Maddr, Mfn, Nr, PAGE_SIZE, Pfn, Pte, Vaddr};

/// Where pfn 0 is: L4 slot 273, the first after the hypervisor's.
pub(crate) const BASE: Vaddr = Vaddr(0xffff_8880_0000_0000);
/// Where the builder maps pfn 0.
pub(crate) const VIRT_BASE: Vaddr = Vaddr(0xffff_ffff_8000_0000);

const TABLE: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::USER)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY);
const READ_ONLY: PteFlags = PteFlags::PRESENT
    .union(PteFlags::ACCESSED)
    .union(PteFlags::USER)
    .union(PteFlags::NX);

static P2M: AtomicU64 = AtomicU64::new(0);
static M2P: AtomicU64 = AtomicU64::new(0);
static M2P_ENTRIES: AtomicU64 = AtomicU64::new(0);
static PAGES: AtomicU64 = AtomicU64::new(0);

/// An entry for a data page of the kernel's.
pub(crate) fn data(mfn: Mfn, writable: bool) -> Pte {
    let flags = if writable {
        READ_ONLY | PteFlags::RW | PteFlags::DIRTY
    } else {
        READ_ONLY
    };
    Pte::new(mfn, flags)
}

/// Where `pfn` is.
pub(crate) fn va(pfn: Pfn) -> Vaddr {
    BASE.add(pfn.0 * PAGE_SIZE)
}

/// Where the entry at `at` is.
pub(crate) fn entry_va(at: Maddr) -> *mut u64 {
    va(m2p(at.mfn())).add(at.offset()).0 as *mut u64
}

/// The machine frame of `pfn`, one of those in use.
pub(crate) fn p2m(pfn: Pfn) -> Mfn {
    assert!(
        pfn.0 < PAGES.load(Ordering::Relaxed),
        "pfn {pfn} is not in use"
    );
    let list = P2M.load(Ordering::Relaxed) as *const u64;
    // SAFETY: the builder mapped nr_pages entries there for good; those in use are among them.
    Mfn(unsafe { list.add(pfn.0 as usize).read_volatile() })
}

/// The pseudo-physical frame of `mfn`, which is one of ours.
pub(crate) fn m2p(mfn: Mfn) -> Pfn {
    assert!(
        mfn.0 < M2P_ENTRIES.load(Ordering::Relaxed),
        "mfn {mfn} is not a frame"
    );
    let table = M2P.load(Ordering::Relaxed) as *const u64;
    // SAFETY: the hypervisor maps the table read-only for good, and mfn has an entry.
    Pfn(unsafe { table.add(mfn.0 as usize).read_volatile() })
}

/// How many of `nr_pages` a physmap reaches whose tables fit `room` frames. A first domain is
/// given all of the machine's memory; this kernel has no use for more than the boot mapping's
/// padding has room for.
pub(crate) fn reach(nr_pages: u64, room: u64) -> u64 {
    // One frame is the L3; of the others every 513th, and the last, is an L2.
    let tables = room.saturating_sub(1);
    let l1s = tables - tables.div_ceil(ENTRIES as u64 + 1);
    nr_pages.min(l1s * ENTRIES as u64)
}

/// Remembers where the two tables are, and that the first `pages` of the guest's are in use.
pub(crate) fn init_tables(info: &StartInfo, pages: u64, m2p_va: u64, m2p_entries: u64) {
    P2M.store(info.mfn_list.0, Ordering::Relaxed);
    PAGES.store(pages, Ordering::Relaxed);
    M2P.store(m2p_va, Ordering::Relaxed);
    M2P_ENTRIES.store(m2p_entries, Ordering::Relaxed);
}

/// Sets the L1 entry of `va`, and drops its cached translation.
pub(crate) fn set_mapping(va: Vaddr, pte: Pte) {
    let ret = hypercall::call(Nr::UpdateVaMapping, [va.0, pte.0, UVMF_INVLPG, 0, 0]);
    assert!(ret == 0, "update_va_mapping {va} {pte:?}: {ret}");
}

/// Frames from `next` on that the builder mapped writable and nobody uses.
pub(crate) struct BootFrames {
    /// The next one.
    pub(crate) next: Pfn,
}

impl BootFrames {
    /// Takes one; its words at their boot address.
    fn take(&mut self) -> (Pfn, &'static mut [u64; ENTRIES]) {
        let pfn = self.next;
        self.next = pfn.add(1);
        let at = VIRT_BASE.add(pfn.0 * PAGE_SIZE).0 as *mut [u64; ENTRIES];
        // SAFETY: each frame is handed out once; the builder mapped it writable (at least 512 KiB
        // past the boot stack), and nothing else refers to it.
        (pfn, unsafe { &mut *at })
    }
}

/// Builds the physmap of the first `pages` and links it to the L4. `tables` are the builder's page tables, which stay
/// read-only as the new ones do. Ends with the first frame that is free.
pub(crate) fn build(pages: u64, root: Mfn, tables: core::ops::Range<Pfn>, free: &mut BootFrames) {
    let l1s = pages.div_ceil(ENTRIES as u64);
    let l2s = l1s.div_ceil(ENTRIES as u64);
    let first = free.next;
    let end = first.add(l1s + l2s + 1);
    let (l3_pfn, l3) = free.take();
    for g in 0..l2s {
        let (l2_pfn, l2) = free.take();
        l3[g as usize] = Pte::new(p2m(l2_pfn), TABLE).0;
        for t in 0..(l1s - g * 512).min(512) {
            let (l1_pfn, l1) = free.take();
            l2[t as usize] = Pte::new(p2m(l1_pfn), TABLE).0;
            for (i, entry) in l1.iter_mut().enumerate() {
                let pfn = Pfn((g * 512 + t) * 512 + i as u64);
                if pfn.0 < pages {
                    let table = tables.contains(&pfn) || (first..end).contains(&pfn);
                    *entry = data(p2m(pfn), !table).0;
                }
            }
        }
    }
    for pfn in first.0..end.0 {
        set_mapping(VIRT_BASE.add(pfn * PAGE_SIZE), data(p2m(Pfn(pfn)), false));
    }
    let at = root.entry(BASE.slot(Level::L4));
    let mut link = MmuUpdate {
        ptr: at.0 | MMU_NORMAL_PT_UPDATE,
        val: Pte::new(p2m(l3_pfn), TABLE).0,
    };
    let request = hypercall::address_of(&mut link);
    let ret = hypercall::call(Nr::MmuUpdate, [request, 1, 0, u64::from(DOMID_SELF), 0]);
    assert!(ret == 0, "linking the physmap: {ret}");
}
