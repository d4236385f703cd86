//! The 64-bit Xen PV ABI as both sides see it: hypercall numbers, argument layouts, page-table
//! bits, error numbers and ELF notes. One public Xen header a module; each item names its header.
//!
//! Nothing here allocates, panics or touches memory: layouts are plain data with their sizes
//! asserted, and addresses are newtypes that never mix. Sources are Xen's public headers (MIT),
//! as of Xen 4.17, named as paths below `xen/include/public/`.
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod callback;
pub mod console;
pub mod elfnote;
pub mod errno;
pub mod event;
pub mod grant_table;
pub mod lab;
pub mod measure;
pub mod memory;
pub mod mmu;
pub mod multicall;
pub mod nr;
pub mod operation;
pub mod performed;
pub mod physdev;
pub mod pte;
pub mod sched;
pub mod segment;
pub mod shared_info;
pub mod start_info;
pub mod trap;
pub mod vcpu;
pub mod version;
pub mod vm_assist;
pub mod xs_wire;

pub use addr::{Maddr, Mfn, PAGE_SHIFT, PAGE_SIZE, Pfn, Vaddr};
pub use errno::Errno;
pub use nr::Nr;
pub use operation::{has_operations, operation_name};
pub use performed::Performed;
pub use pte::{Level, Pte, PteFlags};

/// A domain's number (`domid_t`, `xen.h`).
pub type DomId = u16;
/// "The calling domain" wherever a domain number is asked for (`xen.h`).
pub const DOMID_SELF: DomId = 0x7ff0;
/// The pseudo-domain that owns I/O memory (`xen.h`).
pub const DOMID_IO: DomId = 0x7ff1;
/// The pseudo-domain that owns Xen's shared pages (`xen.h`).
pub const DOMID_XEN: DomId = 0x7ff2;
/// The first number that is no ordinary domain's (`xen.h`).
pub const DOMID_FIRST_RESERVED: DomId = 0x7ff0;
