//! The measuring guest's kernel: a 64-bit Xen PV kernel for one address space, some tasks and two
//! event channels. It boots, gives the library in `guest` its machine, runs the lab and powers off.
//!
//! Read in this order: `start` (the ELF notes and the first instruction), `boot`, `machine` (what
//! the library asks for), `trap`, `task`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bench;
#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod event;
#[cfg(target_os = "none")]
mod hypercall;
#[cfg(target_os = "none")]
mod kernel;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod part;
#[cfg(target_os = "none")]
mod percpu;
#[cfg(target_os = "none")]
mod physmap;
#[cfg(target_os = "none")]
mod smp;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod task;
#[cfg(target_os = "none")]
mod trap;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this kernel runs as a Xen PV guest: build it for x86_64-unknown-none");
    std::process::exit(2);
}
