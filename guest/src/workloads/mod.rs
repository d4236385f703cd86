//! The workloads, one file each: a kernel function's inner loop, its call sites' sections included.
//! Comes in: the hands of `work`; goes out: writes, and a reason if it ends early.
//!
//! Rules they share: one section a table of at most 512 entries, so more entries mean more
//! sections; a structure inside a section (an inner section, a preemption) is there once a
//! table; the final check is the lab's.
//!
//! Call sites that are not modelled, because no x86 kernel has them: arm64's `split_kernel_leaf_mapping`
//! and pageattr (they rewrite block mappings of its linear map, which a PV guest maps by 4 KiB; how its
//! `__kernel_map_pages` nests is `zap_pagealloc`), powerpc's `__flush_hash_table_range` and
//! `subpage_prot` (their batch is of hash-table flushes beside the entry, not of entries: there is no
//! table to write late).
//!
//! Two vCPUs: they are two queues and two lazy modes over one set of tables, but one of them runs at a
//! time. Sections overlap (one is open, its writes queued, while the other vCPU begins and ends its
//! own, or goes on with the same); two vCPUs' instructions never do.

mod apply_to_range;
mod bh_mismatch;
mod depth_255;
mod enable_in_pause;
mod failing_request;
mod fork;
mod fork_depth_255;
mod fork_then_section;
mod irq;
mod irq_flush;
mod kasan_depopulate;
mod kasan_populate;
mod kernel_map_pages;
mod kmap_atomic;
mod lru_gen_look_around;
mod lru_gen_walk;
mod lru_gen_walk_pmd;
mod madvise_cold;
mod madvise_free;
mod madvise_free_swap;
mod madvise_pageout;
mod madvise_resched;
mod migrate;
mod migrate_cpu;
mod migrate_shared;
mod mprotect;
mod mprotect_dirty;
mod mremap;
mod munmap;
mod nest;
mod pagemap_scan;
mod preempt_window;
mod read_after_write;
mod remap_pfn;
mod resume_at_zero;
mod rmw_reorder;
mod switch;
mod switch_nested;
mod two_writers;
mod uffd_move;
mod vmalloc_fault;
mod vmap;
mod vmap_error;
mod vunmap;
mod zap_pagealloc;
mod zap_swap;

use crate::work::{Done, Work};

/// A workload as `xenlet list` shows it.
#[derive(Clone, Copy)]
pub struct WorkloadInfo {
    /// The name `--workload` takes.
    pub name: &'static str,
    /// The kernel function it models, and what that does.
    pub models: &'static str,
    /// The function.
    pub(crate) run: fn(&Work<'_>) -> Done,
}

/// The table of workloads.
pub(crate) static TABLE: [WorkloadInfo; 46] = [
    mprotect::INFO,
    mprotect_dirty::INFO,
    fork::INFO,
    munmap::INFO,
    zap_swap::INFO,
    zap_pagealloc::INFO,
    mremap::INFO,
    remap_pfn::INFO,
    apply_to_range::INFO,
    vmap::INFO,
    vunmap::INFO,
    madvise_cold::INFO,
    madvise_pageout::INFO,
    madvise_free::INFO,
    madvise_free_swap::INFO,
    madvise_resched::INFO,
    pagemap_scan::INFO,
    migrate::INFO,
    migrate_shared::INFO,
    uffd_move::INFO,
    lru_gen_walk::INFO,
    lru_gen_walk_pmd::INFO,
    lru_gen_look_around::INFO,
    kasan_populate::INFO,
    kasan_depopulate::INFO,
    nest::INFO,
    switch::INFO,
    switch_nested::INFO,
    preempt_window::INFO,
    irq::INFO,
    irq_flush::INFO,
    kernel_map_pages::INFO,
    kmap_atomic::INFO,
    vmalloc_fault::INFO,
    fork_then_section::INFO,
    fork_depth_255::INFO,
    resume_at_zero::INFO,
    depth_255::INFO,
    enable_in_pause::INFO,
    bh_mismatch::INFO,
    failing_request::INFO,
    rmw_reorder::INFO,
    read_after_write::INFO,
    vmap_error::INFO,
    migrate_cpu::INFO,
    two_writers::INFO,
];
