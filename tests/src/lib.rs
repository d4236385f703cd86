//! What the integration tests share: a runner that can skip, the program's binary, lab runs,
//! hostile guests, other kinds of host, real Xen.

pub mod asm;
pub mod binary;
pub mod chaos;
pub mod elf;
pub mod hosts;
pub mod program;
pub mod runner;
pub mod runs;
pub mod scratch;
pub mod tiny;
pub mod xen;
