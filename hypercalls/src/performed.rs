//! THE table of mm operations: what the runner in a Linux guest performs between its markers
//! ([`crate::measure`]), by name. A row here makes the runner (`images/init`) fail to compile until
//! it performs it; the command line knows names from here only.

/// A memory-management operation of a Linux guest's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Performed {
    /// An empty section.
    Nothing,
    /// `mprotect` to read-only.
    Mprotect,
    /// A child that ends at once.
    Fork,
    /// `mremap` to a place one page off.
    Mremap,
    /// `munmap` of pages that are there.
    Munmap,
    /// `munmap` of pages that are not there: each entry is a marker.
    MunmapMarkers,
    /// `munmap` of pages that are in swap.
    MunmapSwapped,
    /// `MADV_COLD`.
    MadviseCold,
    /// `MADV_FREE`.
    MadviseFree,
    /// `MADV_DONTNEED`.
    MadviseDontneed,
    /// `mmap` with `MAP_POPULATE`.
    MmapPopulate,
    /// A first write to each page.
    Touch,
    /// Reads of a file that is in memory.
    FaultAround,
    /// `PAGEMAP_SCAN` with write protection.
    PagemapScan,
    /// `UFFDIO_MOVE`.
    UffdMove,
    /// `mmap` of /dev/mem.
    RemapPfn,
    /// A BPF map that could be mapped.
    BpfMap,
    /// A child that becomes another program.
    Exec,
    /// A thread that ends at once.
    Thread,
}

use Performed::*;

impl Performed {
    /// Every operation, in the order they are performed.
    pub const ALL: [Performed; 19] = [
        Nothing,
        Mprotect,
        Fork,
        Mremap,
        Munmap,
        MunmapMarkers,
        MunmapSwapped,
        MadviseCold,
        MadviseFree,
        MadviseDontneed,
        MmapPopulate,
        Touch,
        FaultAround,
        PagemapScan,
        UffdMove,
        RemapPfn,
        BpfMap,
        Exec,
        Thread,
    ];

    /// The name it is asked for and reported by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The kernel functions whose page-table writes it shows.
    #[must_use]
    pub const fn exercises(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Nothing => ("nothing", "none: what a section costs by itself"),
            Mprotect => ("mprotect", "change_pte_range"),
            Fork => ("fork", "copy_pte_range, then zap_pte_range of the child"),
            Mremap => ("mremap", "move_ptes"),
            Munmap => ("munmap", "zap_pte_range of present pages"),
            MunmapMarkers => (
                "munmap_markers",
                "zap_pte_range of entries that are not present",
            ),
            MunmapSwapped => ("munmap_swapped", "zap_pte_range of pages in swap"),
            MadviseCold => ("madvise_cold", "madvise_cold_or_pageout_pte_range"),
            MadviseFree => ("madvise_free", "madvise_free_pte_range"),
            MadviseDontneed => ("madvise_dontneed", "zap_pte_range, the mapping kept"),
            MmapPopulate => (
                "mmap_populate",
                "do_anonymous_page, from populate_vma_page_range",
            ),
            Touch => ("touch", "do_anonymous_page, one fault a page"),
            FaultAround => ("fault_around", "filemap_map_pages, one fault 16 pages"),
            PagemapScan => ("pagemap_scan", "pagemap_scan_pmd_entry, write-protecting"),
            UffdMove => ("uffd_move", "move_present_ptes"),
            RemapPfn => ("remap_pfn", "remap_pte_range"),
            BpfMap => ("bpf_map", "vmap_pages_range"),
            Exec => ("exec", "load_elf_binary and exit_mmap, with a child's fork"),
            Thread => ("thread", "a stack mapped and unmapped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_there_once_by_a_name_of_its_own() {
        for (i, o) in Performed::ALL.into_iter().enumerate() {
            assert_eq!(o as usize, i, "{o:?}");
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(o.name().chars().all(word), "{o:?}");
            let same = Performed::ALL.iter().filter(|p| p.name() == o.name());
            assert_eq!(same.count(), 1, "{o:?}");
        }
    }
}
