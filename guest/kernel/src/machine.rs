//! What the library asks of its machine, on real hypercalls.
#![allow(
    unsafe_code,
    reason = "page-table entries and frames through the physmap; locked instructions"
)]

use crate::{console, event, hypercall, kernel, part, percpu, physmap, smp, task, trap};
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};
use guest::machine::{Access, Fault, Machine, Part, TaskId};
use hypercalls::lab::{Cause, LAB_ATTACH};
use hypercalls::mmu::{MMUEXT_INVLPG_LOCAL, MmuextOp};
use hypercalls::multicall::MulticallEntry;
use hypercalls::vcpu::{SetSingleshotTimer, VCPUOP_SET_SINGLESHOT_TIMER};
use hypercalls::version::XENVER_VERSION;
use hypercalls::{DOMID_SELF, Maddr, Mfn, Nr, Pfn, Pte, Vaddr};

/// The page shared with the hypervisor's counters: a cause a vCPU.
#[repr(C, align(4096))]
struct CausePage([AtomicU32; 1024]);

static CAUSES: CausePage = CausePage([const { AtomicU32::new(0) }; 1024]);

/// The machine, as `boot` found it.
#[derive(Debug)]
pub(crate) struct Xen {
    /// The L4 in use.
    pub(crate) root: Mfn,
    /// First free frame, and how many.
    pub(crate) free: (Pfn, u64),
    /// vCPUs.
    pub(crate) cpus: usize,
    /// The first domain of a real Xen.
    pub(crate) privileged: bool,
}

/// Tells the hypervisor where the causes are. Any other one refuses; the guest counts by itself.
pub(crate) fn attach_lab() {
    let page = core::ptr::from_ref(&CAUSES) as u64;
    hypercall::call(Nr::Lab, [u64::from(LAB_ATTACH), page, 0, 0, 0]);
}

fn entry(at: Maddr) -> &'static AtomicU64 {
    // SAFETY: `at` is 8-byte aligned and lies in a frame of ours, which the physmap maps for good.
    unsafe { AtomicU64::from_ptr(physmap::entry_va(at)) }
}

impl Machine for Xen {
    fn cpu(&self) -> usize {
        percpu::cpu()
    }

    fn cpus(&self) -> usize {
        self.cpus
    }

    fn is_privileged(&self) -> bool {
        self.privileged
    }

    fn call(&self, cause: Cause, nr: Nr, args: [u64; 5]) -> i64 {
        // An interrupt may make hypercalls of its own, but leaves the cause as it found it only
        // if nothing comes between the store and the trap.
        let masked = percpu::set_mask(true);
        let word = &CAUSES.0[percpu::cpu()];
        let before = word.swap(cause as u32, Ordering::Relaxed);
        let ret = hypercall::call(nr, args);
        word.store(before, Ordering::Relaxed);
        self.irq_restore(masked);
        ret
    }

    fn call_with(
        &self,
        cause: Cause,
        nr: Nr,
        mut args: [u64; 5],
        slot: usize,
        block: &mut [u8],
    ) -> i64 {
        args[slot] = hypercall::address_of(block);
        self.call(cause, nr, args)
    }

    fn multicall(
        &self,
        cause: Cause,
        entries: &mut [MulticallEntry],
        relocate: u64,
        args: &mut [u8],
    ) -> i64 {
        let base = hypercall::address_of(args);
        for (i, entry) in entries.iter_mut().enumerate() {
            entry.args[0] += if relocate >> i & 1 == 1 { base } else { 0 };
        }
        let count = entries.len() as u64;
        self.call(
            cause,
            Nr::Multicall,
            [hypercall::address_of(entries), count, 0, 0, 0],
        )
    }

    fn irq_save(&self) -> bool {
        percpu::set_mask(true)
    }

    fn irq_restore(&self, masked: bool) {
        percpu::set_mask(masked);
        if !masked && percpu::is_pending() {
            // Any hypercall will do: the upcall is delivered on return.
            hypercall::call(Nr::XenVersion, [u64::from(XENVER_VERSION), 0, 0, 0, 0]);
        }
    }

    fn timer_now(&self) {
        let mut arg = SetSingleshotTimer {
            timeout_abs_ns: 1,
            flags: 0,
            pad: 0,
        };
        let cpu = percpu::cpu();
        let before = event::ticks(cpu);
        let at = hypercall::address_of(&mut arg);
        let ret = hypercall::call(
            Nr::VcpuOp,
            [u64::from(VCPUOP_SET_SINGLESHOT_TIMER), cpu as u64, at, 0, 0],
        );
        assert!(ret == 0, "set_singleshot_timer: {ret}");
        // A hypervisor may keep the timer on another processor; then the event comes a moment
        // later than the call's return.
        while event::ticks(cpu) == before && !(percpu::is_masked() && percpu::is_pending()) {
            spin_loop();
        }
    }

    fn ipi_self(&self) {
        event::send_ipi(percpu::cpu());
    }

    fn run_on(&self, cpu: usize, task: TaskId) {
        smp::run_on(cpu, task);
    }

    fn switch_stacks(&self, prev: TaskId, next: TaskId) {
        if kernel::get().is_fresh(next) {
            task::new_stack(next);
        }
        task::switch(prev, next);
    }

    fn root(&self) -> Mfn {
        self.root
    }

    fn mfn(&self, pfn: Pfn) -> Mfn {
        physmap::p2m(pfn)
    }

    fn free_frames(&self) -> (Pfn, u64) {
        self.free
    }

    fn read_pte(&self, at: Maddr) -> Pte {
        Pte(entry(at).load(Ordering::Acquire))
    }

    fn xchg_pte(&self, at: Maddr, new: Pte) -> Pte {
        Pte(entry(at).swap(new.0, Ordering::AcqRel))
    }

    fn cmpxchg_pte(&self, at: Maddr, old: Pte, new: Pte) -> bool {
        entry(at)
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn store_pte(&self, at: Maddr, new: Pte) {
        entry(at).store(new.0, Ordering::Release);
    }

    fn write_part(&self, at: Maddr, part: Part) -> bool {
        part::write(at, part)
    }

    fn fill(&self, mfn: Mfn, word: u64) {
        let page = physmap::va(physmap::m2p(mfn)).0 as *mut UnsafeCell<[u64; 512]>;
        // SAFETY: a frame the library took from the free ones: mapped writable, and nothing but
        // the library's own mappings refers to it.
        unsafe { (*page).get().write([word; 512]) };
        compiler_fence(Ordering::SeqCst);
    }

    fn protect(&self, mfn: Mfn, read_only: bool) {
        physmap::set_mapping(
            physmap::va(physmap::m2p(mfn)),
            physmap::data(mfn, !read_only),
        );
    }

    fn touch(&self, va: Vaddr, access: Access) -> Result<u64, Fault> {
        trap::probe(va, access)
    }

    fn invalidate(&self, va: Vaddr) {
        let mut op = MmuextOp {
            cmd: MMUEXT_INVLPG_LOCAL,
            arg1: va.0,
            ..MmuextOp::default()
        };
        let at = hypercall::address_of(&mut op);
        let ret = hypercall::call(Nr::MmuextOp, [at, 1, 0, u64::from(DOMID_SELF), 0]);
        assert!(ret == 0, "invlpg {va}: {ret}");
    }

    fn log(&self, line: core::fmt::Arguments<'_>) {
        console::line(line);
    }
}
