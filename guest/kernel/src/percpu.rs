//! What each vCPU has of its own: its number and its `vcpu_info`, found through the GS base.
#![allow(
    unsafe_code,
    reason = "GS-relative loads and the page shared with the hypervisor"
)]

use crate::hypercall;
use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, compiler_fence};
use hypercalls::Nr;
use hypercalls::segment::SEGBASE_GS_KERNEL;
use hypercalls::shared_info::{EVTCHN_MASK_OFFSET, EVTCHN_PENDING_OFFSET, VcpuInfo};

/// vCPUs this kernel can run on.
pub(crate) const MAX_CPUS: usize = 4;

/// A vCPU's own words.
#[repr(C, align(64))]
struct PerCpu {
    id: u64,
}

static PER_CPU: [PerCpu; MAX_CPUS] = [
    PerCpu { id: 0 },
    PerCpu { id: 1 },
    PerCpu { id: 2 },
    PerCpu { id: 3 },
];

/// The page the hypervisor's shared-info frame is mapped over.
#[repr(C, align(4096))]
pub(crate) struct SharedPage([AtomicU64; 512]);

/// See [`SharedPage`].
pub(crate) static SHARED_INFO: SharedPage = SharedPage([const { AtomicU64::new(0) }; 512]);

/// The GS base vCPU `cpu` runs the kernel with.
pub(crate) fn gs_base(cpu: usize) -> u64 {
    core::ptr::from_ref(&PER_CPU[cpu]) as u64
}

/// Gives the calling vCPU its GS base.
pub(crate) fn load(cpu: usize) {
    hypercall::call(
        Nr::SetSegmentBase,
        [u64::from(SEGBASE_GS_KERNEL), gs_base(cpu), 0, 0, 0],
    );
}

/// The vCPU this runs on.
pub(crate) fn cpu() -> usize {
    let id: u64;
    // SAFETY: GS points to this vCPU's PerCpu from the first instructions of `boot` on.
    unsafe { asm!("mov rax, gs:[0]", out("rax") id, options(nostack, preserves_flags, readonly)) };
    id as usize
}

/// A byte of this vCPU's `vcpu_info`.
fn info_byte(offset: usize) -> &'static AtomicU8 {
    let at = core::ptr::from_ref(&SHARED_INFO).cast::<AtomicU8>();
    // SAFETY: cpu() < MAX_CPUS <= 32, so the byte lies in the page, which is mapped for ever.
    unsafe { &*at.add(cpu() * size_of::<VcpuInfo>() + offset) }
}

fn info_word(word: usize) -> &'static AtomicU64 {
    &SHARED_INFO.0[cpu() * size_of::<VcpuInfo>() / 8 + word]
}

/// Whether an event waits; cleared if it did.
pub(crate) fn take_pending() -> bool {
    info_byte(0).swap(0, Ordering::AcqRel) != 0
}

/// Whether an event waits.
pub(crate) fn is_pending() -> bool {
    info_byte(0).load(Ordering::Acquire) != 0
}

/// Whether upcalls are masked.
pub(crate) fn is_masked() -> bool {
    info_byte(1).load(Ordering::Relaxed) != 0
}

/// Sets the upcall mask; what it was. Plain accesses: only this vCPU writes the byte, and the
/// hypervisor kicks a vCPU whose mask it saw set too late.
pub(crate) fn set_mask(masked: bool) -> bool {
    let mask = info_byte(1);
    compiler_fence(Ordering::SeqCst);
    let before = mask.load(Ordering::Relaxed) != 0;
    mask.store(u8::from(masked), Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    before
}

/// The words of `evtchn_pending` to look at; cleared.
pub(crate) fn take_selector() -> u64 {
    info_word(1).swap(0, Ordering::AcqRel)
}

/// The address of the last page fault.
pub(crate) fn cr2() -> u64 {
    info_word(2).load(Ordering::Relaxed)
}

/// Takes the pending, unmasked ports of word `word`.
pub(crate) fn take_ports(word: usize) -> u64 {
    let mask = SHARED_INFO.0[EVTCHN_MASK_OFFSET as usize / 8 + word].load(Ordering::Acquire);
    let pending = &SHARED_INFO.0[EVTCHN_PENDING_OFFSET as usize / 8 + word];
    pending.fetch_and(mask, Ordering::AcqRel) & !mask
}
