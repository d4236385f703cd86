//! What this project adds to the ABI: how the measuring guest tells the hypervisor where a
//! measured section begins and ends, why it makes a hypercall, and what it found.
//!
//! All of it goes through hypercall [`crate::Nr::Lab`] (a number Xen leaves to architectures and
//! answers with -ENOSYS) and one page that the guest shares. The hypervisor counts the traps; the
//! guest only names the [`Cause`] of each before it makes it.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Attach: argument 1 = virtual address of a [`LabPage`], page aligned. 0, or -EFAULT.
pub const LAB_ATTACH: u32 = 0;
/// A measured section begins. 0, or -EBUSY if one is open.
pub const LAB_BEGIN: u32 = 1;
/// The section ends; its counts are kept for the next [`LAB_RESULT`]. Sections of one cell add
/// up. 0, or -EINVAL if none is open.
pub const LAB_END: u32 = 2;
/// Compare page tables: argument 1 = virtual address of [`ExpectedPte`]s, argument 2 = count, at
/// most [`LAB_CHECK_MAX`]. The number that differ from the hypervisor's own walk, or -EFAULT.
pub const LAB_CHECK: u32 = 3;
/// A cell's result: argument 1 = virtual address of a [`CellResult`]. 0, or -EFAULT.
pub const LAB_RESULT: u32 = 4;

/// Entries one [`LAB_CHECK`] may name.
pub const LAB_CHECK_MAX: u64 = 512;

/// Why the guest makes a hypercall. The seven that carry page-table work inside a section are
/// the report's flush reasons; [`Cause::Kernel`] is everything else a kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Cause {
    /// Not page-table work of the section: scheduling, interrupt return, timers, set-up.
    #[default]
    Kernel = 0,
    /// The section's outermost disable.
    Disable = 1,
    /// An inner disable.
    NestedDisable = 2,
    /// `arch_flush_lazy_mmu_mode`.
    ArchFlush = 3,
    /// `lazy_mmu_mode_pause`.
    Pause = 4,
    /// The outgoing task's queue at a context switch.
    ContextSwitch = 5,
    /// The queue was full.
    Full = 6,
    /// Not queued at all.
    Immediate = 7,
}

impl Cause {
    /// Every cause, in the order of the numbers.
    pub const ALL: [Cause; 8] = [
        Cause::Kernel,
        Cause::Disable,
        Cause::NestedDisable,
        Cause::ArchFlush,
        Cause::Pause,
        Cause::ContextSwitch,
        Cause::Full,
        Cause::Immediate,
    ];
    /// The cause a guest's word names; anything unknown is [`Cause::Kernel`].
    #[must_use]
    pub fn from_raw(raw: u32) -> Cause {
        Self::ALL.get(raw as usize).copied().unwrap_or_default()
    }
    /// The report's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Kernel => "kernel",
            Cause::Disable => "disable",
            Cause::NestedDisable => "nested_disable",
            Cause::ArchFlush => "arch_flush",
            Cause::Pause => "pause",
            Cause::ContextSwitch => "context_switch",
            Cause::Full => "full",
            Cause::Immediate => "immediate",
        }
    }
}

/// The page the guest shares: the cause of the next hypercall, a word a vCPU.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct LabPage {
    /// A [`Cause`] a vCPU.
    pub cause: [u32; 32],
}

/// One entry as the guest's model has it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ExpectedPte {
    /// Virtual address, page aligned.
    pub va: u64,
    /// The entry; compared without A, D, U, G and bit 52, which hypervisor and CPU set.
    pub pte: u64,
}

/// The bits of an entry that [`LAB_CHECK`] leaves out of the comparison: USER, ACCESSED, DIRTY,
/// GLOBAL and Xen's kernel marker. Whoever knows A or D reads the entry itself.
pub const CHECK_IGNORES: u64 = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 52;

/// What became of a cell, as the guest saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Outcome {
    /// Ran to its end.
    #[default]
    Ran = 0,
    /// The modelled kernel would BUG or serve stale data here; `bug` names it.
    Bug = 1,
    /// Not part of this release; `detail` says why.
    Skip = 2,
    /// The test itself went wrong; `detail` says how.
    Error = 3,
}

impl Outcome {
    /// The outcome a guest's word names.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Outcome> {
        match raw {
            0 => Some(Outcome::Ran),
            1 => Some(Outcome::Bug),
            2 => Some(Outcome::Skip),
            3 => Some(Outcome::Error),
            _ => None,
        }
    }
}

/// Text of bounded length in a shared layout: UTF-8, zero padded.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// `text`, cut at a character boundary if it is longer than `N` bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut cut = Self::default();
        // Writing to a Text cannot fail: what does not fit is cut.
        let _ = fmt::Write::write_str(&mut cut, text);
        cut
    }
    /// The text; bytes that are not UTF-8 end it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        match core::str::from_utf8(&self.0[..end]) {
            Ok(text) => text,
            Err(e) => core::str::from_utf8(&self.0[..e.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Text([0; N])
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let at = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        let mut end = s.len().min(N - at);
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        self.0[at..at + end].copy_from_slice(&s.as_bytes()[..end]);
        Ok(())
    }
}

/// A cell's result: 640 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CellResult {
    /// The workload's name.
    pub workload: Text<32>,
    /// The policy's name.
    pub policy: Text<32>,
    /// An [`Outcome`].
    pub outcome: u32,
    /// PTEs the workload worked on.
    pub ptes: u32,
    /// The guest's own count of section hypercalls, a word a [`Cause`].
    pub calls: [u64; 8],
    /// The guest's own count of page-table updates in them.
    pub updates: u64,
    /// The guest's own count of direct writes it expects to have been emulated.
    pub emulated_writes: u64,
    /// Entries compared between the guest's model and the tables, over all checkpoints.
    pub compared: u64,
    /// Of them, those that differed.
    pub differing: u64,
    /// Pages read, written or expected to fault through the tables.
    pub touched: u64,
    /// Of them, those that did something else than the model says.
    pub mistouched: u64,
    /// The BUG's name, if any.
    pub bug: Text<64>,
    /// What went wrong first, or why it was skipped.
    pub detail: Text<392>,
}

const _: () = assert!(size_of::<LabPage>() == 128);
const _: () = assert!(size_of::<ExpectedPte>() == 16);
const _: () = assert!(size_of::<CellResult>() == 640);

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn causes_round_trip_and_strangers_are_kernel() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_raw(cause as u32), cause);
        }
        assert_eq!(Cause::from_raw(u32::MAX), Cause::Kernel);
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let mut t = Text::<4>::new("ab");
        write!(t, "cé").expect("cannot fail");
        assert_eq!(t.as_str(), "abc");
        assert_eq!(Text::<2>([0xff, b'a']).as_str(), "");
    }
}
