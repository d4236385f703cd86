//! Deliberate faults, one a bug that a kernel has had or could have. Only a build with the
//! feature `mutants` can choose one; in any other `chosen` is constant and the hooks vanish.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The name `mutant=` takes.
    pub name: &'static str,
    /// The bug it brings back.
    pub bug: &'static str,
}

macro_rules! mutants {
    ($($id:ident = $name:literal, $bug:literal;)*) => {
        $(#[doc = $bug] pub(crate) const $id: Mutant = Mutant { name: $name, bug: $bug };)*
        const ALL: &[Mutant] = &[$($id,)*];
    };
}

mutants! {
    NO_FLUSH_DISABLE = "no-flush-disable", "disable forgets to flush";
    NO_FLUSH_NESTED = "no-flush-nested-disable", "an inner disable forgets to flush";
    NO_FLUSH_ARCH = "no-flush-arch-flush", "arch_flush_lazy_mmu_mode does nothing";
    NO_FLUSH_PAUSE = "no-flush-pause", "pause forgets to flush";
    NO_FLUSH_SWITCH = "no-flush-context-switch", "the outgoing task's queue stays (38e0edb15bd0)";
    WRONG_QUEUE = "wrong-queue", "the switch flushes another CPU's queue";
    SPACE_OFF_BY_ONE = "space-off-by-one", "the space test is > instead of >=";
    MERGE_ACROSS_FLUSH = "merge-across-flush", "an update merges past a queued TLB flush";
    DROP_LAST = "drop-last-entry", "a flush loses its last update";
    DROP_ENTRY = "drop-multicall-entry", "a multicall goes out without its last entry";
    FLUSH_FIRST = "flush-first", "TLB flushes are issued before the writes queued ahead of them";
    IRQ_QUEUES = "irq-queues", "set_pte in an interrupt queues behind the interrupted task";
    KMAP_DEFERRED = "kmap-deferred", "kmap_atomic's entry is left in the queue";
    PAGEALLOC_DEFERRED = "pagealloc-deferred", "DEBUG_PAGEALLOC's entry is left in the queue";
    VMALLOC_SYNC_DEFERRED = "vmalloc-sync-deferred", "vmalloc_fault's upper-level entry is left in the queue";
    SET_PTES_NESTS = "set-ptes-nests", "set_ptes opens a section of its own (bcc6cc832573)";
    STRIP_NESTED = "strip-nested", "an inner leave ends batching (47b8def9358c, 1ef3095b1405)";
    SWITCH_KEEPS_NESTED = "switch-keeps-nested", "switching out at depth 2 leaves the mode on (c36549ff8d84)";
    RESUME_LOST = "resume-lost", "switching in does not batch again";
    STRICT_WINDOW = "strict-window", "preempted between the count and the hook: BUG (291b3abed657)";
    FORK_UNDERFLOW = "fork-underflow", "a new task starts with resume (bec6f41a6fe5)";
    MADVISE_NO_LEAVE = "madvise-no-leave", "madvise ends without leaving";
    MADVISE_EXIT_NO_LEAVE = "madvise-exit-no-leave", "madvise's early exit enters again without leaving";
    SPLIT_WHILE_LAZY = "split-while-lazy", "a folio is split, which sleeps, while lazy";
    VMAP_ERROR_NO_LEAVE = "vmap-error-no-leave", "vmap's error path skips leave (fea18c686320)";
    KASAN_NO_PAUSE = "kasan-no-pause", "KASAN writes its shadow without a pause (c519c3c0a113)";
    KASAN_SLEEPS = "kasan-sleeps", "KASAN allocates, which may sleep, in the section (b6ea95a34cbd)";
    CLEAR_UNFLUSHED = "clear-unflushed", "pte_none is read after a pte_clear that nobody flushed";
    YOUNG_KEPT = "young-kept", "test_and_clear_young writes the entry, but leaves A";
    COMMIT_DROPS_AD = "commit-drops-ad", "modify_prot_commit does not ask to keep A and D";
    NO_FINAL_FLUSH = "no-final-flush", "migrate unlocks before its TLB flush is queued";
}

/// Every mutant, by name. Empty unless built with the feature `mutants`.
#[must_use]
pub const fn mutants() -> &'static [Mutant] {
    if cfg!(feature = "mutants") { ALL } else { &[] }
}

/// The number that a configuration holds for a name.
pub(crate) fn find(name: &str) -> Option<u8> {
    mutants()
        .iter()
        .position(|m| m.name == name)
        .and_then(|n| u8::try_from(n).ok())
}

/// Whether `config`'s mutant is `mutant`.
#[inline]
pub(crate) fn chosen(config: &crate::config::Config, mutant: Mutant) -> bool {
    cfg!(feature = "mutants") && config.mutant.is_some_and(|m| ALL[usize::from(m)] == mutant)
}
