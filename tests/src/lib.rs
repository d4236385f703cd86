//! What the integration tests share: a runner that can skip, the program's binary, lab runs,
//! hostile guests, other kinds of host.

pub mod asm;
pub mod binary;
pub mod chaos;
pub mod hosts;
pub mod runner;
pub mod runs;
pub mod tiny;
