//! The markers by which a program at CPL3 tells the hypervisor what it is about to do: this
//! project's addition, and no hypercall, since user mode has none.
//!
//! A marker is the forced-emulation prefix and `cpuid` (`ud2; .ascii "xen"; cpuid`,
//! `arch-x86/xen.h`, `XEN_CPUID`) with [`LEAF`] in eax. On real Xen such a leaf is out of range and
//! reads 0: the marker does nothing. Here it answers [`MAGIC`] in eax if it was taken,
//! [`REFUSED`] if it does not fit.
//!
//! Registers: eax [`LEAF`], ecx one of the markers; rdi and rsi a text's address and length, at
//! most [`TEXT_MAX`]; rdx pages; r8 fork depth; r9 the repetition, from 0, or [`WARM_UP`];
//! r10 flags. The answer is in eax to edx as for any `cpuid`; nothing else changes.

/// The leaf.
pub const LEAF: u32 = 0x584c_0000;
/// What eax holds if the marker was taken: "xlet".
pub const MAGIC: u32 = 0x7465_6c78;
/// What eax holds if it was understood and refused.
pub const REFUSED: u32 = 0x5846_4552;

/// The runner is there: text its name, rdx its version.
pub const HELLO: u32 = 0;
/// An operation begins: text its name, rdx, r8, r9, r10.
pub const BEGIN: u32 = 1;
/// It has ended.
pub const END: u32 = 2;
/// It is not performed, as this kernel lacks it: text why; after a BEGIN that it closes.
pub const SKIP: u32 = 3;
/// It was not performed as it should: text why; after a BEGIN that it closes.
pub const FAIL: u32 = 4;

/// r9 of a repetition that is not to be counted.
pub const WARM_UP: u64 = u64::MAX;
/// r10: the operation makes tasks; all tasks' hypercalls are its own.
pub const ALL_TASKS: u64 = 1 << 0;
/// The longest text.
pub const TEXT_MAX: u64 = 256;
