//! `mmu_update` as a request: commands, batches, pointers, domains, and where it may write.

use super::fixture::{EMPTY, LAPIC, RO, RW, SELF, pte};
use super::{Probe, row, unprivileged};
use hypercalls::mmu::MMU_MACHPHYS_UPDATE;
use hypercalls::{DOMID_IO, DOMID_XEN, Nr, Vaddr};

const DOM0_IO: &str = "the first domain may map I/O memory";
const DOM0_XEN: &str = "the first domain has rights over Xen's frames";

pub(super) const ROWS: [Probe; 38] = [
    row("command_3", |f| f.update(f.empty() | 3, pte(f.data(), RO))),
    row("command_4", |f| f.update(f.empty() | 4, pte(f.data(), RO))),
    row("command_5", |f| f.update(f.empty() | 5, pte(f.data(), RO))),
    row("command_6", |f| f.update(f.empty() | 6, pte(f.data(), RO))),
    row("command_7", |f| f.update(f.empty() | 7, pte(f.data(), RO))),
    row("batch_second_of_three_bad", |f| {
        let at = |slot| f.l1().entry(slot).0;
        let good = pte(f.data(), RO);
        let requests = [
            (at(EMPTY), good),
            (at(EMPTY + 1), pte(f.l1(), RW)),
            (at(EMPTY + 2), good),
        ];
        let answer = f.updates(&requests, SELF);
        let there = (0..3).map(|i| u64::from(f.peek(f.l1().entry(EMPTY + i)) != 0) << (4 * i));
        answer.with(there.sum())
    }),
    unprivileged("batch_second_of_three_beyond_ram", DOM0_IO, |f| {
        let at = |slot| f.l1().entry(slot).0;
        let good = pte(f.data(), RO);
        let bad = pte(f.beyond(), RO);
        f.updates(
            &[
                (at(EMPTY), good),
                (at(EMPTY + 1), bad),
                (at(EMPTY + 2), good),
            ],
            SELF,
        )
    }),
    row("no_requests", |f| f.updates(&[], SELF)),
    row("requests_in_the_hole", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, Vaddr::from_l4_slot(256), 1, SELF)
    }),
    row("requests_in_the_hole_and_bad_domains", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, Vaddr::from_l4_slot(256), 1, 98 << 16 | 99)
    }),
    row("requests_not_mapped", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, f.va(EMPTY), 1, SELF)
    }),
    row("requests_not_mapped_none_asked", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, f.va(EMPTY), 0, SELF)
    }),
    row("requests_not_canonical", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, Vaddr(1 << 47), 1, SELF)
    }),
    row("requests_wrap", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, Vaddr(u64::MAX - 15), 2, SELF)
    }),
    row("requests_reach_into_the_hole", |f| {
        f.put(&[]);
        f.counted(Nr::MmuUpdate, Vaddr((1 << 47) - 16), 2, SELF)
    }),
    row("count_is_32_bits", |f| {
        f.put(&[f.empty(), pte(f.data(), RO)]);
        f.counted(Nr::MmuUpdate, f.requests(), 1 << 32 | 1, SELF)
    }),
    row("foreign_own_number", |f| {
        f.updates(&[(f.empty(), 0)], f.domid())
    }),
    row("foreign_unknown", |f| f.updates(&[(f.empty(), 0)], 99)),
    row("table_domain_unknown", |f| {
        f.updates(&[(f.empty(), 0)], 100 << 16 | SELF)
    }),
    row("table_domain_self", |f| {
        f.updates(&[(f.empty(), 0)], (SELF + 1) << 16 | SELF)
    }),
    row("table_domain_own_number", |f| {
        f.updates(&[(f.empty(), 0)], (f.domid() + 1) << 16 | SELF)
    }),
    row("both_domains_unknown", |f| {
        f.updates(&[(f.empty(), 0)], 100 << 16 | 98)
    }),
    row("foreign_io_on_ram", |f| {
        f.updates(&[(f.empty(), pte(f.data(), RO))], DOMID_IO.into())
    }),
    row("foreign_io_clears", |f| {
        f.updates(&[(f.empty(), 0)], DOMID_IO.into())
    }),
    unprivileged("foreign_xen", DOM0_XEN, |f| {
        f.updates(&[(f.empty(), pte(f.data(), RO))], DOMID_XEN.into())
    }),
    row("foreign_xen_none_asked", |f| {
        f.updates(&[], DOMID_XEN.into())
    }),
    row("target_beyond_ram", |f| f.update(f.beyond().maddr().0, 0)),
    row("target_lapic", |f| f.update(LAPIC.maddr().0, 0)),
    row("target_all_ones", |f| f.update(!7, 0)),
    row("target_data", |f| f.update(f.data().entry(3).0, 0x123)),
    row("target_data_unaligned", |f| {
        f.update(f.data().entry(3).0 | 4, 0x123)
    }),
    row("target_mapped_read_only", |f| {
        f.update(f.free().entry(3).0, 0x123)
    }),
    row("target_gdt", |f| f.update(f.gdt().entry(3).0, 0x123)),
    row("machphys_own", |f| {
        f.update(f.data().maddr().0 | MMU_MACHPHYS_UPDATE, f.data_pfn().0)
    }),
    row("machphys_beyond_ram", |f| {
        f.update(f.beyond().maddr().0 | MMU_MACHPHYS_UPDATE, 1)
    }),
    row("machphys_lapic", |f| {
        f.update(LAPIC.maddr().0 | MMU_MACHPHYS_UPDATE, 1)
    }),
    row("machphys_all_ones", |f| {
        f.update(!7 | MMU_MACHPHYS_UPDATE, 1)
    }),
    row("foreign_io_machphys", |f| {
        let request = (f.data().maddr().0 | MMU_MACHPHYS_UPDATE, f.data_pfn().0);
        f.updates(&[request], DOMID_IO.into())
    }),
];
