//! Deliberate faults of what the host is told, each a forgotten or a needless word to KVM: they show
//! that the tests on other kinds of host would notice. Only a build with the feature `mutants` can
//! choose one; in any other [`Fault::is_chosen`] is constant and the hooks vanish.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A vCPU does not flush its own TLB when all of it must go.
    NoFlush = 1,
    /// Nor when single pages must.
    NoPageFlush,
    /// The other vCPUs are not made to flush.
    NoRemoteFlush,
    /// Where page tables are shadowed, changed entries are not shown.
    NoShow,
    /// Every entry flushes.
    NeedlessFlush,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 5] = [
        Fault::NoFlush,
        Fault::NoPageFlush,
        Fault::NoRemoteFlush,
        Fault::NoShow,
        Fault::NeedlessFlush,
    ];

    /// The name `--host-fault` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fault::NoFlush => "no-flush",
            Fault::NoPageFlush => "no-page-flush",
            Fault::NoRemoteFlush => "no-remote-flush",
            Fault::NoShow => "no-show",
            Fault::NeedlessFlush => "needless-flush",
        }
    }

    /// Commits it from now on, in the whole process.
    #[cfg(feature = "mutants")]
    pub fn choose(self) {
        CHOSEN.store(self as u8, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether it is committed.
    #[cfg(feature = "mutants")]
    pub(super) fn is_chosen(self) -> bool {
        CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == self as u8
    }

    /// Whether it is committed: never.
    #[cfg(not(feature = "mutants"))]
    #[inline]
    pub(super) const fn is_chosen(self) -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
static CHOSEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
