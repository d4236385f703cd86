//! What a recount can find wrong.

use crate::mm::FrameType;
use hypercalls::{Maddr, Mfn};
use std::fmt;

/// Something that is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A frame's records differ from what the walk found.
    Count {
        /// The frame.
        mfn: Mfn,
        /// Type, general and type count on record.
        recorded: (FrameType, u32, u32),
        /// The same as found.
        found: (FrameType, u32, u32),
    },
    /// A frame is used as two things at once.
    TwoTypes {
        /// The frame.
        mfn: Mfn,
        /// What it was found as first.
        first: FrameType,
        /// And then.
        second: FrameType,
    },
    /// A live table holds an entry it may not hold.
    Entry {
        /// Where.
        at: Maddr,
        /// The entry.
        raw: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A pin on record that is no root, or a root not on record.
    Pin {
        /// The frame.
        mfn: Mfn,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Count {
                mfn,
                recorded,
                found,
            } => write!(f, "frame {mfn}: on record {recorded:?}, found {found:?}"),
            Difference::TwoTypes { mfn, first, second } => {
                write!(f, "frame {mfn} is both {first:?} and {second:?}")
            }
            Difference::Entry { at, raw, what } => write!(f, "entry {at} = {raw:#x}: {what}"),
            Difference::Pin { mfn } => write!(f, "frame {mfn}: pinned on one side only"),
        }
    }
}
