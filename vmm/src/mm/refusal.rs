//! Why the hypervisor refused: one variant a reason, with the values that show it, and the one
//! place where a reason becomes the error number that Xen returns for it.

use super::FrameType;
use crate::memory::BadMaddr;
use hypercalls::{DomId, Errno, Level, Maddr, Mfn, Pte, Vaddr};
use thiserror::Error;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $({$($field:ident: $ty:ty),*})? = $errno:ident, $text:literal;)*) => {
        /// A request that was refused. Nothing was changed by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
        pub enum Refusal { $($(#[$doc])* #[error($text)] $name $({
            $(#[doc = concat!("The ", stringify!($field), " in question.")] $field: $ty),*
        })?,)* }
        impl Refusal {
            /// Every reason's name, in the order of [`Refusal::index`].
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];
            /// What the guest is told.
            #[must_use]
            pub const fn errno(&self) -> Errno {
                match self { $(Refusal::$name { .. } => Errno::$errno,)* }
            }
            /// The reason's name, for counters.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Refusal::$name { .. } => stringify!($name),)* }
            }
            /// The reason's place in [`Refusal::NAMES`].
            #[must_use]
            pub const fn index(&self) -> usize {
                #[allow(non_camel_case_types)]
                enum Place { $($name,)* }
                match self { $(Refusal::$name { .. } => Place::$name as usize,)* }
            }
        }
    };
}

refusals! {
    /// The entry has bits its level may not have.
    BadFlags { level: Level, pte: Pte } = EINVAL, "{pte:?} has bits that {level:?} entries may not have";
    /// The entry's frame number is all ones.
    NoFrame { mfn: Mfn } = EINVAL, "frame {mfn} cannot exist";
    /// The entry maps I/O memory without the right to.
    NotRam { mfn: Mfn } = EPERM, "frame {mfn} is not memory";
    /// The entry maps a frame of the hypervisor's.
    NotOwned { mfn: Mfn } = EPERM, "frame {mfn} is not the guest's";
    /// The foreign domain does not own the entry's frame.
    NotForeign { mfn: Mfn } = EBUSY, "frame {mfn} is the guest's own, not the foreign domain's";
    /// A writable mapping of a frame that is in use as something else.
    NotWritable { mfn: Mfn, has: FrameType } = EBUSY, "frame {mfn} is in use as {has:?} and cannot be mapped writable";
    /// A frame has as many references as can be counted.
    TooManyReferences { mfn: Mfn } = EBUSY, "frame {mfn} has too many references";
    /// A table or descriptor frame that is not the guest's memory.
    BadFrame { mfn: Mfn } = EINVAL, "frame {mfn} is not the guest's memory";
    /// A frame in use as one thing is asked to be another.
    WrongType { mfn: Mfn, has: FrameType, wanted: FrameType } = EINVAL, "frame {mfn} is in use as {has:?}, wanted as {wanted:?}";
    /// A table maps one of its own level writable.
    LinearWritable { mfn: Mfn } = EINVAL, "a linear map of table {mfn} must be read-only";
    /// A linear map of a table that has linear maps itself.
    LinearDepth { mfn: Mfn } = EINVAL, "a linear map of table {mfn} would be more than one deep";
    /// An L4 slot of the hypervisor's.
    HypervisorSlot { slot: usize } = EINVAL, "L4 slot {slot} is the hypervisor's";
    /// A page-table write outside the guest's memory.
    BadTarget { at: Maddr } = EINVAL, "{at} is not the guest's memory";
    /// A write to a frame that is in use as something else.
    TargetInUse { mfn: Mfn, has: FrameType } = EINVAL, "frame {mfn} is in use as {has:?}";
    /// A table above L1 written in a foreign domain's name.
    ForeignTable { mfn: Mfn } = EINVAL, "table {mfn} can only hold the guest's own tables";
    /// A second pin.
    AlreadyPinned { mfn: Mfn } = EINVAL, "table {mfn} is already pinned";
    /// An unpin without a pin.
    NotPinned { mfn: Mfn } = EINVAL, "table {mfn} is not pinned";
    /// A descriptor a guest may not have.
    BadDescriptor { value: u64 } = EINVAL, "descriptor {value:#x} is not allowed";
    /// An address that is not aligned as its use needs.
    Unaligned { at: Maddr } = EINVAL, "{at} is not aligned";
    /// A virtual address without an L1 table.
    NoL1 { va: Vaddr } = EINVAL, "{va} has no L1 table";
    /// A guest pointer that does not map, or may not be written.
    BadPointer { va: Vaddr } = EFAULT, "{va} cannot be accessed";
    /// A machine address that memory does not have.
    BadMachineAddress { at: Maddr } = EFAULT, "machine address {at} cannot be accessed";
    /// No domain of that number, or one that may not be named so.
    UnknownDomain { domain: DomId } = ESRCH, "no foreign domain {domain:#x}";
    /// A domain this one has no rights over.
    ForeignDenied { domain: DomId } = EPERM, "no right to domain {domain:#x}";
    /// A command the hypercall does not have.
    UnknownCommand { command: u64 } = ENOSYS, "no command {command}";
    /// A command that is never supported.
    Unsupported { command: u64 } = EOPNOTSUPP, "command {command} is not supported";
    /// A mask of virtual CPUs that cannot be read.
    BadMask { va: Vaddr } = EINVAL, "the vCPU mask at {va} cannot be read";
    /// An LDT that cannot be.
    BadLdt { base: Vaddr, entries: u64 } = EINVAL, "no LDT of {entries} entries at {base}";
    /// A cache flush without the rights to a device.
    CacheFlush = EACCES, "no right to flush caches";
    /// A cache flush everywhere without the rights to a device.
    CacheFlushGlobal = EINVAL, "no right to flush caches everywhere";
    /// Not a refusal: the hypercall's time is over, and it is to be executed again. No guest sees it.
    Unfinished = ERESTART, "the operation goes on when it is asked for again";
    /// A multicall in a multicall.
    NestedMulticall = EINVAL, "a multicall may not hold a multicall";
}

impl From<BadMaddr> for Refusal {
    fn from(BadMaddr(at): BadMaddr) -> Self {
        Refusal::BadMachineAddress { at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        for refusal in [
            Refusal::NotOwned { mfn: Mfn(1) },
            Refusal::CacheFlush,
            Refusal::NestedMulticall,
        ] {
            assert_eq!(Refusal::NAMES[refusal.index()], refusal.name());
        }
        let busy = Refusal::NotWritable {
            mfn: Mfn(5),
            has: FrameType::L1,
        };
        assert_eq!(busy.errno(), Errno::EBUSY);
        assert!(busy.to_string().contains("0x5"));
    }
}
