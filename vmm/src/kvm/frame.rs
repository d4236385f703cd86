//! The frame an exception pushes: on which stack, and what it says was interrupted.
//!
//! SYSCALL that arrives at CPL0 leaves RSP as the guest has it, and `mov %ss` puts a breakpoint off
//! past the next instruction: `mov (watched),%ss; syscall` is a #DB before the entry stub's first
//! instruction. Pushed where RSP points it would write any frame, by the physmap (XSA-260). So each
//! gate names a stack of the TSS (IST), whatever is interrupted. #DB has one apart: before `int3` it
//! comes at that vector's handler, whose own frame must stay.

use super::layout::{self, HvLayout};
use hypercalls::PAGE_SIZE;
use hypercalls::trap::DB;

/// The entry of the TSS that #DB's gate names; the other gates name the first.
const DEBUG_IST: u64 = 2;
const IST: u64 = 1;
/// How far below the other stack's top #DB's begins. A frame has 48 bytes.
const DEBUG_BELOW: u64 = 256;

/// The stacks of the TSS: number, and where it begins in the vCPU's page.
pub(super) const STACKS: [(u64, u64); 2] = [(IST, PAGE_SIZE), (DEBUG_IST, PAGE_SIZE - DEBUG_BELOW)];

/// The stack that the gate of a vector names.
pub(super) const fn ist(vector: u64) -> u64 {
    if vector == DB as u64 { DEBUG_IST } else { IST }
}

/// Where a vector's frame is in the vCPU's page, the error code first.
pub(super) const fn offset(vector: u8) -> u64 {
    let (_, top) = STACKS[ist(vector as u64) as usize - 1];
    top - size_of::<Words>() as u64
}

/// A frame in memory: error code, rip, cs, rflags, rsp, ss.
pub(super) type Words = [u64; 6];

/// What the CPU pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Of meaning if the vector has an error code.
    pub(super) error: u64,
    pub(super) rip: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    cpl: u64,
}

impl From<Words> for Frame {
    fn from([error, rip, cs, rflags, rsp, _]: Words) -> Frame {
        Frame {
            error,
            rip,
            rflags,
            rsp,
            cpl: cs & 3,
        }
    }
}

/// What an exception is to the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The guest's own.
    Guest,
    /// A breakpoint of the guest's that came late, in a stub: the stub goes on as if there were none,
    /// as in Xen.
    Late,
    /// A stub cannot go on.
    Broken,
}

impl Frame {
    /// What `vector` with this frame is.
    pub(super) fn meaning(&self, vector: u8) -> Meaning {
        let handler = HvLayout::stub_va(DB).0;
        // Of two #DBs the second frame is over the first: `mov %ss; int1`.
        let twice = (handler..handler + layout::STUB_SIZE).contains(&self.rip);
        match (self.cpl, vector) {
            (1.., _) => Meaning::Guest,
            (0, DB) if !twice => Meaning::Late,
            _ => Meaning::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypercalls::trap::BP;

    #[test]
    fn a_frame_is_the_guests_or_late_or_the_end() {
        let of = |vector, rip, cs| Frame::from([0, rip, cs, 2, 0, 0]).meaning(vector);
        let entry = layout::BASE.0;
        assert_eq!(of(DB, 0x1000, 0x33), Meaning::Guest);
        assert_eq!(of(14, 0x1000, 0x23), Meaning::Guest);
        assert_eq!(of(DB, entry, 0x10), Meaning::Late);
        assert_eq!(of(DB, HvLayout::stub_va(BP).0, 0x10), Meaning::Late);
        assert_eq!(of(DB, HvLayout::stub_va(DB).0, 0x10), Meaning::Broken);
        assert_eq!(of(13, entry + 2, 0x10), Meaning::Broken);
    }

    #[test]
    fn the_stacks_have_room_for_a_frame_each() {
        assert_eq!(offset(14), PAGE_SIZE - 48);
        assert!(offset(DB) + 48 <= offset(14));
    }
}
