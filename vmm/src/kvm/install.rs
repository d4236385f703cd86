//! Writing the hypervisor's frames: stubs, descriptor tables, TSS, and the page tables of its
//! L4 slot. Runs once, before any vCPU.

use super::layout::{self, HvLayout};
use super::{frame, stubs};
use crate::memory::{BadMaddr, Memory};
use hypercalls::pte::{ENTRIES, PteFlags};
use hypercalls::trap::{BP, OF};
use hypercalls::{Level, Maddr, Mfn, Pte, Vaddr};

/// How SYSCALL from CPL3 arrives on this host.
///
/// What the entry page may be follows from it. At CPL0 it is the supervisor's own page, and the stubs
/// touch nothing of the guest's: legal with SMEP, SMAP and UMIP on, as with shadow stacks or LASS.
/// Where SYSCALL stays at CPL3 the page must be the guest's to execute. The probe, which does not know
/// yet, has a page for both; CR4 has SMEP off, whatever the host's own is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// As the architecture has it; left by `out`.
    Cpl0,
    /// Without a change of privilege; left by a store to the doorbell.
    Cpl3,
}

/// The privilege-3 code selector vCPUs run guests with; index 6.
pub(super) const USER_CS: u16 = 0x33;
/// The privilege-3 stack selector; index 5.
pub(super) const USER_SS: u16 = 0x2b;
/// The privilege-3 32-bit code selector; index 4. SYSRET's base.
pub(super) const USER_CS32: u16 = 0x23;
/// The privilege-0 code selector; index 2.
pub(super) const KERNEL_CS: u16 = 0x10;
/// The privilege-0 stack selector; index 3.
pub(super) const KERNEL_SS: u16 = 0x18;
/// Bytes of GDT.
pub(super) const GDT_SIZE: u16 = 7 * 8;

const CODE64: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const CODE32: u64 = 0x00cf_9b00_0000_ffff;
const DPL3: u64 = 3 << 45;

const GDT: [u64; 7] = [
    0,
    0,
    CODE64,
    DATA,
    CODE32 | DPL3,
    DATA | DPL3,
    CODE64 | DPL3,
];

const UPPER: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::USER)
    .union(PteFlags::ACCESSED);
const LEAF: PteFlags = PteFlags::PRESENT
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY);
const LARGE: PteFlags = LEAF
    .union(PteFlags::RW)
    .union(PteFlags::PSE)
    .union(PteFlags::NX);

/// The entry that every L4 carries in the hypervisor's slot.
#[must_use]
pub(super) fn l4_entry(layout: &HvLayout) -> Pte {
    Pte::new(layout.l3(), UPPER)
}

/// Writes everything.
///
/// # Errors
/// If the layout does not fit the memory it is written to, which would be a mistake of ours.
pub(super) fn install(memory: &Memory, layout: &HvLayout, entry: Entry) -> Result<(), BadMaddr> {
    match entry {
        Entry::Cpl0 => memory.write(layout.entry().maddr(), &stubs::ENTRY_CPL0)?,
        Entry::Cpl3 => memory.write(layout.entry().maddr(), &stubs::ENTRY_CPL3)?,
    }
    descriptor_tables(memory, layout)?;
    vectors(memory, layout)?;
    for cpu in 0..layout.cpus {
        tss(memory, layout, cpu)?;
    }
    low_area(memory, layout, entry)?;
    physmap(memory, layout)?;
    m2p_map(memory, layout)
}

fn descriptor_tables(memory: &Memory, layout: &HvLayout) -> Result<(), BadMaddr> {
    for (i, descriptor) in GDT.iter().enumerate() {
        let at = layout
            .tables()
            .maddr()
            .add(layout::GDT_OFFSET + 8 * i as u64);
        memory.write_u64(at, *descriptor)?;
    }
    for vector in 0..layout::IDT_GATES {
        let stub = HvLayout::stub_va(vector as u8);
        let [low, high] = gate(stub, gate_dpl(vector), frame::ist(vector));
        let at = layout.tables().maddr().add(16 * vector);
        memory.write_u64(at, low)?;
        memory.write_u64(at.add(8), high)?;
    }
    Ok(())
}

/// Who may raise a vector by `int`: `int3` and `into` are everybody's, as in Xen's own table. A
/// gate of DPL 0 would make them a #GP at the instruction, on CPUs that check.
const fn gate_dpl(vector: u64) -> u64 {
    if vector == BP as u64 || vector == OF as u64 {
        3
    } else {
        0
    }
}

/// A present 64-bit interrupt gate (Intel SDM vol. 3 figure 6-8) that begins on stack `ist` of the
/// TSS.
fn gate(handler: Vaddr, dpl: u64, ist: u64) -> [u64; 2] {
    let offset = handler.0;
    let low = (offset & 0xffff)
        | u64::from(KERNEL_CS) << 16
        | (0x8e00 | dpl << 13 | ist) << 32
        | (offset >> 16 & 0xffff) << 48;
    [low, offset >> 32]
}

fn vectors(memory: &Memory, layout: &HvLayout) -> Result<(), BadMaddr> {
    for vector in 0..layout::IDT_GATES {
        let at = layout.stubs().maddr().add(vector * layout::STUB_SIZE);
        memory.write(at, &stubs::exception(vector as u8))?;
    }
    let at = layout.stubs().maddr().add(layout::STORE_STUB_OFFSET);
    memory.write(at, &stubs::STORE)
}

/// A 64-bit TSS: stack n of IST at byte 28 + 8n, the I/O bitmap beyond its end (Intel SDM vol. 3
/// figure 7-11). RSP0 is used by no gate.
fn tss(memory: &Memory, layout: &HvLayout, cpu: u64) -> Result<(), BadMaddr> {
    let at = layout.cpu(cpu).maddr();
    for (ist, top) in frame::STACKS {
        let stack = HvLayout::frame_va(layout.cpu(cpu)).add(top);
        memory.write(at.add(28 + 8 * ist), &stack.0.to_le_bytes())?;
    }
    memory.write(at.add(102), &TSS_SIZE.to_le_bytes())
}

/// Bytes of TSS.
pub(super) const TSS_SIZE: u16 = 104;

fn low_area(memory: &Memory, layout: &HvLayout, entry: Entry) -> Result<(), BadMaddr> {
    let set = |table: Mfn, slot: usize, pte: Pte| memory.write_u64(table.entry(slot), pte.0);
    set(layout.l3(), 0, Pte::new(layout.low_l2(), UPPER))?;
    set(layout.low_l2(), 0, Pte::new(layout.low_l1(), UPPER))?;
    let l1 = layout.low_l1();
    set(l1, 0, Pte::new(layout.entry(), entry_flags(entry)))?;
    if entry == Entry::Cpl3 {
        let doorbell = LEAF | PteFlags::USER | PteFlags::RW | PteFlags::NX;
        let pte = Pte::new(layout.doorbell().mfn(), doorbell);
        set(l1, layout::DOORBELL_PAGE as usize, pte)?;
    }
    for mfn in layout.tables().0..layout.l3().0 {
        let mut flags = LEAF | PteFlags::RW;
        if Mfn(mfn) == layout.stubs() {
            flags = LEAF;
        }
        let slot = HvLayout::frame_va(Mfn(mfn)).slot(Level::L1);
        set(l1, slot, Pte::new(Mfn(mfn), flags))?;
    }
    Ok(())
}

const fn entry_flags(entry: Entry) -> PteFlags {
    match entry {
        Entry::Cpl0 => LEAF,
        Entry::Cpl3 => LEAF.union(PteFlags::USER),
    }
}

fn physmap(memory: &Memory, layout: &HvLayout) -> Result<(), BadMaddr> {
    const LARGE_PAGE: u64 = 2 << 20;
    for gib in 0..layout.physmap_l2s {
        let l2 = layout.physmap_l2(gib);
        let slot = layout::PHYSMAP_L3_SLOT + gib as usize;
        memory.write_u64(layout.l3().entry(slot), Pte::new(l2, UPPER).0)?;
        for i in 0..ENTRIES {
            let at = Maddr((gib << 30) + i as u64 * LARGE_PAGE);
            if at.mfn().0 < layout.total_frames {
                memory.write_u64(l2.entry(i), Pte::new(at.mfn(), LARGE).0)?;
            }
        }
    }
    Ok(())
}

fn m2p_map(memory: &Memory, layout: &HvLayout) -> Result<(), BadMaddr> {
    let l2 = layout.m2p_l2();
    memory.write_u64(
        layout.l3().entry(layout::M2P_L3_SLOT),
        Pte::new(l2, UPPER).0,
    )?;
    for i in 0..layout.m2p_l1s {
        memory.write_u64(l2.entry(i as usize), Pte::new(layout.m2p_l1(i), UPPER).0)?;
    }
    let read_only = LEAF | PteFlags::USER | PteFlags::NX;
    for page in 0..layout.m2p_frames {
        let l1 = layout.m2p_l1(page / ENTRIES as u64);
        let slot = (page % ENTRIES as u64) as usize;
        let pte = Pte::new(layout.m2p().add(page), read_only);
        memory.write_u64(l1.entry(slot), pte.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_split_the_address_in_three() {
        let [low, high] = gate(Vaddr(0xffff_8080_1234_5678), gate_dpl(14), 1);
        assert_eq!(low, 0x1234_8e01_0010_5678);
        assert_eq!(gate(Vaddr(0), gate_dpl(3), 2)[0], 0xee02_0010_0000);
        assert_eq!(high, 0xffff_8080);
    }

    /// XSA-260: no gate begins on the RSP it finds, and its stack is where the frame is looked for.
    #[test]
    fn every_gate_has_a_stack_in_its_vcpus_page() {
        let layout = HvLayout::new(64, 2);
        let memory = Memory::new(layout.total_frames).expect("small");
        install(&memory, &layout, Entry::Cpl0).expect("fits");
        for vector in 0..layout::IDT_GATES {
            let low = memory.read_u64(layout.tables().maddr().add(16 * vector));
            let ist = low.expect("in memory") >> 32 & 7;
            assert_ne!(ist, 0, "vector {vector}");
            for cpu in 0..2 {
                // A TSS is not aligned to its eight bytes.
                let mut stack = [0; 8];
                let at = layout.cpu(cpu).maddr().add(28 + 8 * ist);
                memory.read(at, &mut stack).expect("in memory");
                let frame = HvLayout::frame_va(layout.cpu(cpu)).add(frame::offset(vector as u8));
                assert_eq!(u64::from_le_bytes(stack), frame.0 + 48, "vector {vector}");
            }
        }
    }

    /// The slots of the low area that CPL3 reaches.
    fn reached(entry: Entry) -> (Memory, HvLayout, Vec<usize>) {
        let layout = HvLayout::new(64, 1);
        let memory = Memory::new(layout.total_frames).expect("small");
        install(&memory, &layout, entry).expect("fits");
        let user = |&slot: &usize| {
            let pte = memory.read_u64(layout.low_l1().entry(slot));
            Pte(pte.expect("in memory")).has(PteFlags::PRESENT | PteFlags::USER)
        };
        let slots = (0..ENTRIES).filter(user).collect();
        (memory, layout, slots)
    }

    #[test]
    fn the_guest_reaches_the_entry_the_doorbell_and_the_m2p_only() {
        let (memory, layout, user) = reached(Entry::Cpl3);
        assert_eq!(user, [0, 1]);
        let large = Pte(memory
            .read_u64(layout.physmap_l2(0).entry(0))
            .expect("in memory"));
        assert!(large.is_present() && !large.has(PteFlags::USER));
        let m2p = Pte(memory
            .read_u64(layout.m2p_l1(0).entry(0))
            .expect("in memory"));
        assert!(m2p.has(PteFlags::USER | PteFlags::NX) && !m2p.has(PteFlags::RW));
    }

    /// SMEP: CPL0 executes no page of CPL3's. SMAP: nor does it touch one.
    #[test]
    fn where_syscall_arrives_at_cpl0_the_entry_is_the_supervisors() {
        let (memory, layout, user) = reached(Entry::Cpl0);
        assert!(user.is_empty(), "{user:?}");
        let entry = Pte(memory
            .read_u64(layout.low_l1().entry(0))
            .expect("in memory"));
        assert!(entry.is_present() && !entry.has(PteFlags::NX));
    }
}
