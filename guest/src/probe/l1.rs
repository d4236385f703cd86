//! Entries of an L1: what reads back, which flags are allowed, what may be mapped how.

use super::fixture::{LAPIC, RO, RW, URW, pte};
use super::{Probe, row, unprivileged};
use hypercalls::mmu::MMU_PT_UPDATE_PRESERVE_AD;

const DOM0_IO: &str = "the first domain may map I/O memory";
const DOM0_CACHE: &str = "the first domain may choose how memory is cached";
const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const PAT: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const AVAIL: u64 = 7 << 9;
const HIGH: u64 = 0x7ff << 52;
const NX: u64 = 1 << 63;

pub(super) const ROWS: [Probe; 41] = [
    row("l1_kernel_ro", |f| f.update(f.empty(), pte(f.data(), RO))),
    row("l1_kernel_rw", |f| f.update(f.empty(), pte(f.data(), RW))),
    row("l1_user_rw", |f| f.update(f.empty(), pte(f.data(), URW))),
    row("l1_user_marked_kernel", |f| {
        f.update(f.empty(), pte(f.data(), URW | 1 << 52))
    }),
    row("l1_present_alone", |f| {
        f.update(f.empty(), pte(f.data(), 1))
    }),
    row("l1_nx", |f| f.update(f.empty(), pte(f.data(), RO | NX))),
    row("l1_available_bits", |f| {
        f.update(f.empty(), pte(f.data(), RO | AVAIL))
    }),
    row("l1_high_bits", |f| {
        f.update(f.empty(), pte(f.data(), RO | HIGH))
    }),
    row("l1_kernel_global", |f| {
        f.update(f.empty(), pte(f.data(), RO | GLOBAL))
    }),
    unprivileged("l1_pat", DOM0_CACHE, |f| {
        f.update(f.empty(), pte(f.data(), RO | PAT))
    }),
    unprivileged("l1_pcd", DOM0_CACHE, |f| {
        f.update(f.empty(), pte(f.data(), RO | PCD))
    }),
    unprivileged("l1_pwt", DOM0_CACHE, |f| {
        f.update(f.empty(), pte(f.data(), RO | PWT))
    }),
    unprivileged("l1_flag_change_to_pcd", DOM0_CACHE, |f| {
        f.update(f.slot_of(f.data()), pte(f.data(), RW | PCD))
    }),
    row("l1_not_present_any_bits", |f| f.update(f.empty(), !1)),
    row("l1_normal_drops_ad", |f| {
        f.update(f.slot_of(f.data()), pte(f.data(), 1))
    }),
    row("l1_preserve_ad", |f| {
        f.update(
            f.slot_of(f.data()) | MMU_PT_UPDATE_PRESERVE_AD,
            pte(f.data(), 1),
        )
    }),
    row("l1_preserve_ad_of_nothing", |f| {
        f.update(f.empty() | MMU_PT_UPDATE_PRESERVE_AD, pte(f.data(), 1))
    }),
    unprivileged("l1_frame_beyond_ram", DOM0_IO, |f| {
        f.update(f.empty(), pte(f.beyond(), RO))
    }),
    row("l1_frame_lapic", |f| f.update(f.empty(), pte(LAPIC, RO))),
    row("l1_frame_lapic_rw", |f| f.update(f.empty(), pte(LAPIC, RW))),
    row("l1_frame_all_ones", |f| {
        f.update(f.empty(), 0xf_ffff_ffff_f061)
    }),
    row("l1_maps_data_ro", |f| {
        f.update(f.slot_of(f.data()), pte(f.data(), RO))
    }),
    row("l1_maps_free_rw", |f| {
        f.update(f.slot_of(f.free()), pte(f.free(), RW))
    }),
    row("l1_maps_l1_rw", |f| f.update(f.empty(), pte(f.l1(), RW))),
    row("l1_maps_l1_user_rw", |f| {
        f.update(f.empty(), pte(f.l1(), URW))
    }),
    row("l1_maps_l2_rw", |f| f.update(f.empty(), pte(f.l2(), RW))),
    row("l1_maps_l3_rw", |f| f.update(f.empty(), pte(f.l3(), RW))),
    row("l1_maps_l4_rw", |f| f.update(f.empty(), pte(f.l4(), RW))),
    row("l1_maps_gdt_rw", |f| f.update(f.empty(), pte(f.gdt(), RW))),
    row("l1_flips_l1_rw", |f| {
        f.update(f.slot_of(f.l1()), pte(f.l1(), RW))
    }),
    row("l1_flips_l2_rw", |f| {
        f.update(f.slot_of(f.l2()), pte(f.l2(), RW))
    }),
    row("l1_flips_l3_rw", |f| {
        f.update(f.slot_of(f.l3()), pte(f.l3(), RW))
    }),
    row("l1_flips_l4_rw", |f| {
        f.update(f.slot_of(f.l4()), pte(f.l4(), RW))
    }),
    row("l1_flips_gdt_rw", |f| {
        f.update(f.slot_of(f.gdt()), pte(f.gdt(), RW))
    }),
    row("l1_maps_l1_ro", |f| f.update(f.empty(), pte(f.l1(), RO))),
    row("l1_maps_l2_ro", |f| f.update(f.empty(), pte(f.l2(), RO))),
    row("l1_maps_l3_ro", |f| f.update(f.empty(), pte(f.l3(), RO))),
    row("l1_maps_l4_ro", |f| f.update(f.empty(), pte(f.l4(), RO))),
    row("l1_maps_gdt_ro", |f| f.update(f.empty(), pte(f.gdt(), RO))),
    row("l1_retargets_ro", |f| {
        f.update(f.slot_of(f.free()), pte(f.l2(), RO))
    }),
    row("l1_retargets_rw", |f| {
        f.update(f.slot_of(f.data()), pte(f.l2(), RW))
    }),
];
