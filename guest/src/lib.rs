//! The measuring guest as a library: pure, `no_std`, tested on the host.
#![no_std]
#![forbid(unsafe_code)]

pub mod machine;
