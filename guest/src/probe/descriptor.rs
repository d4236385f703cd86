//! `set_gdt` and `update_descriptor`: which pages and which descriptors.

use super::fixture::{Fixture, RW, pte};
use super::{Answer, Probe, row};
use hypercalls::{Mfn, Nr};

/// Flat 64-bit code, present, privilege 0.
const CODE_DPL0: u64 = 0x00af_9b00_0000_ffff;
/// The same, privilege 3.
const CODE_DPL3: u64 = 0x00af_fb00_0000_ffff;
/// Flat data, present, privilege 0.
const DATA_DPL0: u64 = 0x00cf_9300_0000_ffff;
/// A present 64-bit TSS.
const TSS: u64 = 0x0000_8900_0000_0067;
/// A present call gate, privilege 3.
const GATE: u64 = 0x0000_ec00_0008_0000;
/// A gate's target selector.
const SELECTOR: u64 = 0xffff << 16;
/// A present descriptor that is neither code, nor data, nor anything.
const NOTHING: u64 = 1 << 47;
/// A present interrupt gate.
const INTERRUPT: u64 = 0x0000_8e00_0008_0000;
/// A present LDT.
const LDT: u64 = 0x0000_8200_0000_ffff;

fn set(f: &Fixture<'_>, mfn: Mfn, descriptor: u64) -> Answer {
    let at = mfn.entry(3);
    let answer = f.call(Nr::UpdateDescriptor, [at.0, descriptor, 0, 0, 0]);
    answer.with(f.machine().read_pte(at).0)
}

fn gdt(f: &Fixture<'_>, frames: &[u64], entries: u64) -> Answer {
    f.put(frames);
    f.call(Nr::SetGdt, [f.requests().0, entries, 0, 0, 0])
}

pub(super) const ROWS: [Probe; 29] = [
    row("gdt_none", |f| gdt(f, &[], 0)),
    row("gdt_one_page", |f| gdt(f, &[f.free().0], 512)),
    row("gdt_one_entry", |f| gdt(f, &[f.free().0], 1)),
    row("gdt_same_page_twice", |f| gdt(f, &[f.free().0; 2], 1024)),
    row("gdt_7169_entries", |f| gdt(f, &[f.free().0; 15], 7169)),
    row("gdt_writable_page", |f| gdt(f, &[f.data().0], 512)),
    row("gdt_a_table", |f| gdt(f, &[f.l1().0], 512)),
    row("gdt_beyond_ram", |f| gdt(f, &[f.beyond().0], 512)),
    row("gdt_list_not_mapped", |f| {
        f.call(Nr::SetGdt, [f.no_l1().0, 512, 0, 0, 0])
    }),
    row("gdt_with_a_tss", |f| {
        f.update(f.free().entry(3).0, TSS);
        gdt(f, &[f.free().0], 512)
    }),
    row("gdt_released_is_writable", |f| {
        gdt(f, &[], 0);
        f.update(f.empty(), pte(f.gdt(), RW))
    }),
    row("descriptor_code_dpl0", |f| set(f, f.gdt(), CODE_DPL0)),
    row("descriptor_code_dpl3", |f| set(f, f.gdt(), CODE_DPL3)),
    row("descriptor_data_dpl0", |f| set(f, f.gdt(), DATA_DPL0)),
    row("descriptor_not_present", |f| {
        set(f, f.gdt(), 0x1234_0000_5678)
    }),
    row("descriptor_tss", |f| set(f, f.gdt(), TSS)),
    row("descriptor_gate", |f| set(f, f.gdt(), GATE)),
    row("descriptor_nothing", |f| set(f, f.gdt(), NOTHING)),
    row("descriptor_interrupt_gate", |f| set(f, f.gdt(), INTERRUPT)),
    row("descriptor_gate_to_the_kernel", |f| {
        set(f, f.gdt(), GATE & !SELECTOR | 0xe033 << 16)
    }),
    row("descriptor_gate_to_the_hypervisor", |f| {
        set(f, f.gdt(), GATE & !SELECTOR | 0xe008 << 16)
    }),
    row("descriptor_gate_to_the_last", |f| {
        set(f, f.gdt(), GATE & !SELECTOR | 0xdff8 << 16)
    }),
    row("descriptor_gate_to_the_ldt", |f| {
        set(f, f.gdt(), GATE & !SELECTOR | 0xf00d << 16)
    }),
    row("descriptor_gate_reserved_bits", |f| {
        set(f, f.gdt(), GATE | 1 << 32)
    }),
    row("descriptor_ldt", |f| set(f, f.gdt(), LDT)),
    row("descriptor_unaligned", |f| {
        f.call(Nr::UpdateDescriptor, [f.gdt().entry(3).0 + 4, 0, 0, 0, 0])
    }),
    row("descriptor_on_a_table", |f| {
        f.call(Nr::UpdateDescriptor, [f.l1().entry(3).0, 0, 0, 0, 0])
    }),
    row("descriptor_on_data", |f| set(f, f.data(), CODE_DPL0)),
    row("descriptor_beyond_ram", |f| {
        f.call(Nr::UpdateDescriptor, [f.beyond().maddr().0, 0, 0, 0, 0])
    }),
];
