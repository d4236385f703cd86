//! From the first instruction to the lab: where the builder's page table is, what memory is free,
//! entries, events; then the library runs, then the power goes off.

use crate::machine::{self, Xen};
use crate::{bench, event, hypercall, kernel, panic, percpu, physmap, smp, trap};
use guest::Kernel;
use hypercalls::memory::{MachphysMapping, XENMEM_MACHPHYS_MAPPING};
use hypercalls::pte::{ENTRIES, PteFlags};
use hypercalls::start_info::{SIF_PRIVILEGED, StartInfo};
use hypercalls::vcpu::VCPUOP_IS_UP;
use hypercalls::vm_assist::{VMASST_CMD_ENABLE, VMASST_TYPE_WRITABLE_PAGETABLES};
use hypercalls::{Nr, PAGE_SHIFT, Pfn, Pte, Vaddr};

/// The first Rust code. `info` is what rsi pointed to.
pub(crate) extern "C" fn boot(info: &'static StartInfo) -> ! {
    percpu::load(0);
    map_shared_info(info);
    trap::register();
    enable_writable_page_tables();
    let (root, free) = map_memory(info);
    event::bind(0);
    machine::attach_lab();
    kernel::publish(Kernel::new(Xen {
        root,
        free,
        cpus: count_cpus(),
        privileged: info.flags & SIF_PRIVILEGED != 0,
    }));
    percpu::set_mask(false);
    smp::bring_up(kernel::get().machine());
    match command_line(info) {
        bench::PLAN => bench::run(),
        plan => guest::lab::run(kernel::get(), plan),
    }
    panic::shutdown(hypercalls::sched::SHUTDOWN_POWEROFF)
}

/// vCPUs there are, as far as this kernel has room for them.
fn count_cpus() -> usize {
    let exists = |cpu: &usize| {
        hypercall::call(Nr::VcpuOp, [u64::from(VCPUOP_IS_UP), *cpu as u64, 0, 0, 0]) >= 0
    };
    (0..percpu::MAX_CPUS).take_while(exists).count()
}

fn command_line(info: &StartInfo) -> &str {
    let bytes = &info.cmd_line;
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or("")
}

/// Maps the frame the hypervisor shares over a page kept for it.
fn map_shared_info(info: &StartInfo) {
    let va = Vaddr(core::ptr::from_ref(&percpu::SHARED_INFO) as u64);
    let flags = PteFlags::PRESENT
        | PteFlags::RW
        | PteFlags::USER
        | PteFlags::ACCESSED
        | PteFlags::DIRTY
        | PteFlags::NX;
    physmap::set_mapping(va, Pte::new(info.shared_info.mfn(), flags));
}

/// Lets `xchg` and `cmpxchg` on live page tables fault and be emulated, as Linux's do.
fn enable_writable_page_tables() {
    let args = [
        u64::from(VMASST_CMD_ENABLE),
        u64::from(VMASST_TYPE_WRITABLE_PAGETABLES),
        0,
        0,
        0,
    ];
    let ret = hypercall::call(Nr::VmAssist, args);
    assert!(ret == 0, "vm_assist writable_pagetables: {ret}");
}

fn map_memory(info: &StartInfo) -> (hypercalls::Mfn, (Pfn, u64)) {
    let mut m2p = MachphysMapping::default();
    let args = [
        u64::from(XENMEM_MACHPHYS_MAPPING),
        hypercall::address_of(&mut m2p),
        0,
        0,
        0,
    ];
    let ret = hypercall::call(Nr::MemoryOp, args);
    assert!(ret == 0, "machphys_mapping: {ret}");
    let first_table = Pfn((info.pt_base.0 - physmap::VIRT_BASE.0) >> PAGE_SHIFT);
    let tables = first_table..first_table.add(info.nr_pt_frames);
    // After the tables comes the builder's boot stack, then padding that is ours.
    let mut free = physmap::BootFrames {
        next: tables.end.add(1),
    };
    // One L4, L3 and L2; the rest are L1s, which map 2 MiB each from VIRT_BASE on.
    let mapped = Pfn((info.nr_pt_frames - 3) * ENTRIES as u64);
    let pages = physmap::reach(info.nr_pages, mapped.0.saturating_sub(free.next.0));
    assert!(
        pages >= mapped.0,
        "{pages} of {} pages in reach, {mapped} in the boot mapping",
        info.nr_pages
    );
    physmap::init_tables(info, pages, m2p.v_start, m2p.max_mfn + 1);
    let root = physmap::p2m(first_table);
    physmap::build(pages, root, tables, &mut free);
    // The rest of the boot mapping stays unused: its frames have two writable mappings.
    (root, (mapped, pages - mapped.0))
}
