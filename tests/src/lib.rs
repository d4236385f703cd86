//! What the integration tests share: a runner that can skip, the program's binary, lab runs,
//! hostile guests, Linux guests, other kinds of host, real Xen, a browser.

pub mod asm;
pub mod binary;
pub mod browser;
pub mod chaos;
pub mod elf;
pub mod fuzz;
pub mod guests;
pub mod hosts;
pub mod measured;
pub mod program;
pub mod pty;
pub mod runner;
pub mod runs;
pub mod scratch;
pub mod tiny;
pub mod userland;
pub mod xen;
