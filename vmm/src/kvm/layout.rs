//! Where the hypervisor's own frames are and where the guest sees them: pure arithmetic.
//!
//! Machine memory begins with these frames, in this order; the guest's follow.
//!
//! ```text
//! entry     SYSCALL lands here; user-executable on hosts where it stays at CPL3
//! tables    IDT (32 gates), GDT
//! stubs     one `out` a vector, and the store stub; CPL0 only
//! cpu 0..   a page a vCPU: TSS below, the exception frames at the top
//! list 0..  a page a vCPU: (address, value) pairs for the store stub
//! L3, L2, L1   of slot 257's first 2 MiB; then L2s of the physmap, L2 and L1s of the M2P
//! M2P       8 bytes a machine frame
//! ```
//!
//! All of it is mapped in L4 slot 257, which belongs to the hypervisor in every L4.

use hypercalls::pte::ENTRIES;
use hypercalls::{Maddr, Mfn, PAGE_SIZE, Vaddr};

/// The hypervisor's L4 slot. Xen's hole begins at 256; some hosts cannot run code there.
pub(super) const HYPERVISOR_SLOT: u64 = 257;
/// First address of that slot.
pub(super) const BASE: Vaddr = Vaddr::from_l4_slot(HYPERVISOR_SLOT);
/// L3 slot of the machine-to-physical table: 128 GiB into the slot.
pub(super) const M2P_L3_SLOT: usize = 128;
/// L3 slot of the physmap: 256 GiB into the slot.
pub(super) const PHYSMAP_L3_SLOT: usize = 256;
/// Page of the low area that is not memory: a store to it leaves the guest.
pub(super) const DOORBELL_PAGE: u64 = 1;
/// Offset of the GDT in the page of the tables; the IDT is at its start.
pub(super) const GDT_OFFSET: u64 = 0x800;
/// Gates of the IDT: the CPU's own exceptions.
pub(super) const IDT_GATES: u64 = 32;
/// Offset of the store stub in the page of the stubs; vectors' stubs are at its start.
pub(super) const STORE_STUB_OFFSET: u64 = 0x800;
/// Bytes a vector's stub takes.
pub(super) const STUB_SIZE: u64 = 16;

const STUBS: Mfn = Mfn(2);
const GIB: u64 = 1 << 30;
const M2P_ENTRY: u64 = 8;

/// The frames of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HvLayout {
    /// vCPUs.
    pub(super) cpus: u64,
    /// All machine frames, the hypervisor's included.
    pub(super) total_frames: u64,
    /// L2 tables of the physmap: one a GiB.
    pub(super) physmap_l2s: u64,
    /// L1 tables of the machine-to-physical table: one a 2 MiB.
    pub(super) m2p_l1s: u64,
    /// Frames of the machine-to-physical table itself.
    pub(super) m2p_frames: u64,
}

impl HvLayout {
    /// The layout for `guest_frames` frames of guest and `cpus` vCPUs.
    #[must_use]
    pub(super) fn new(guest_frames: u64, cpus: u64) -> HvLayout {
        // The table has an entry for its own frames too: grow until it covers them.
        let mut layout = HvLayout {
            cpus,
            total_frames: guest_frames,
            physmap_l2s: 0,
            m2p_l1s: 0,
            m2p_frames: 0,
        };
        loop {
            let total_frames = layout.frames() + guest_frames;
            let m2p_frames = (total_frames * M2P_ENTRY).div_ceil(PAGE_SIZE);
            let next = HvLayout {
                cpus,
                total_frames,
                physmap_l2s: (total_frames * PAGE_SIZE).div_ceil(GIB),
                m2p_l1s: m2p_frames.div_ceil(ENTRIES as u64),
                m2p_frames,
            };
            if next == layout {
                return layout;
            }
            layout = next;
        }
    }

    /// How many frames the hypervisor takes.
    #[must_use]
    pub(super) fn frames(&self) -> u64 {
        self.m2p().0 + self.m2p_frames
    }
    /// SYSCALL's page.
    #[must_use]
    pub(super) fn entry(&self) -> Mfn {
        Mfn(0)
    }
    /// IDT and GDT.
    #[must_use]
    pub(super) fn tables(&self) -> Mfn {
        Mfn(1)
    }
    /// Vectors' stubs and the store stub.
    #[must_use]
    pub(super) fn stubs(&self) -> Mfn {
        STUBS
    }
    /// A vCPU's TSS and exception frames.
    #[must_use]
    pub(super) fn cpu(&self, cpu: u64) -> Mfn {
        Mfn(3 + cpu)
    }
    /// A vCPU's list of stores.
    #[must_use]
    pub(super) fn list(&self, cpu: u64) -> Mfn {
        self.cpu(self.cpus + cpu)
    }
    /// The slot's L3.
    #[must_use]
    pub(super) fn l3(&self) -> Mfn {
        self.list(self.cpus)
    }
    /// The low area's L2.
    #[must_use]
    pub(super) fn low_l2(&self) -> Mfn {
        self.l3().add(1)
    }
    /// The low area's L1.
    #[must_use]
    pub(super) fn low_l1(&self) -> Mfn {
        self.l3().add(2)
    }
    /// A GiB's L2 of the physmap.
    #[must_use]
    pub(super) fn physmap_l2(&self, gib: u64) -> Mfn {
        self.l3().add(3 + gib)
    }
    /// The machine-to-physical table's L2: enough for 1 GiB of it, 512 GiB of machine.
    #[must_use]
    pub(super) fn m2p_l2(&self) -> Mfn {
        self.physmap_l2(self.physmap_l2s)
    }
    /// One of its L1s.
    #[must_use]
    pub(super) fn m2p_l1(&self, index: u64) -> Mfn {
        self.m2p_l2().add(1 + index)
    }
    /// The table's first frame.
    #[must_use]
    pub(super) fn m2p(&self) -> Mfn {
        self.m2p_l1(self.m2p_l1s)
    }
    /// First address past memory, on a 1 GiB border: the doorbell's, backed by nothing.
    #[must_use]
    pub(super) fn doorbell(&self) -> Maddr {
        Maddr((self.total_frames * PAGE_SIZE).next_multiple_of(GIB))
    }

    /// Where page `index` of the low area is seen. Page 0 is the entry, 1 the doorbell; the
    /// pages from 2 on are the frames from [`HvLayout::tables`] on.
    #[must_use]
    pub(super) fn low_va(index: u64) -> Vaddr {
        BASE.add(index * PAGE_SIZE)
    }
    /// Where a frame of the low area other than the entry is seen.
    #[must_use]
    pub(super) fn frame_va(mfn: Mfn) -> Vaddr {
        Self::low_va(mfn.0 + 1)
    }
    /// Where a vector's handler is.
    #[must_use]
    pub(super) fn stub_va(vector: u8) -> Vaddr {
        Self::frame_va(STUBS).add(u64::from(vector) * STUB_SIZE)
    }
    /// Where CPL0 sees a machine address.
    #[must_use]
    pub(super) fn physmap_va(at: Maddr) -> Vaddr {
        BASE.add(PHYSMAP_L3_SLOT as u64 * GIB + at.0)
    }
    /// Where the guest sees the machine-to-physical table.
    #[must_use]
    pub(super) fn m2p_va() -> Vaddr {
        BASE.add(M2P_L3_SLOT as u64 * GIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_covers_its_own_frames() {
        for (guest_frames, cpus) in [(64, 1), (8192, 2), (1 << 18, 4), (3 << 18, 32)] {
            let layout = HvLayout::new(guest_frames, cpus);
            assert_eq!(layout.total_frames, layout.frames() + guest_frames);
            assert!(layout.m2p_frames * PAGE_SIZE >= layout.total_frames * M2P_ENTRY);
            assert!(layout.doorbell().0 >= layout.total_frames * PAGE_SIZE);
        }
    }

    #[test]
    fn a_small_machine_spends_few_frames() {
        assert!(HvLayout::new(8192, 1).frames() < 40);
    }
}
