//! Xenlet's hypervisor.
pub mod memory;
