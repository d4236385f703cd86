//! ELF notes that make a file a PV kernel (`elfnote.h`). The note's name is "Xen".

/// The name of the notes.
pub const NAME: &[u8] = b"Xen";

/// Entry point.
pub const ENTRY: u32 = 1;
/// Virtual address of a page the builder fills with hypercall stubs.
pub const HYPERCALL_PAGE: u32 = 2;
/// Virtual address that physical address 0 is mapped at.
pub const VIRT_BASE: u32 = 3;
/// What to take off a segment's physical address first.
pub const PADDR_OFFSET: u32 = 4;
/// "xen-3.0".
pub const XEN_VERSION: u32 = 5;
/// The guest's name.
pub const GUEST_OS: u32 = 6;
/// The guest's version.
pub const GUEST_VERSION: u32 = 7;
/// "generic".
pub const LOADER: u32 = 8;
/// PAE mode (32-bit guests).
pub const PAE_MODE: u32 = 9;
/// Features: `a|!b`, `!` for those that must be there.
pub const FEATURES: u32 = 10;
/// Symbol table wanted.
pub const BSD_SYMTAB: u32 = 11;
/// Lowest address of the hypervisor's hole (32-bit guests).
pub const HV_START_LOW: u32 = 12;
/// Mask and value of a valid L1 entry.
pub const L1_MFN_VALID: u32 = 13;
/// Suspend can be cancelled.
pub const SUSPEND_CANCEL: u32 = 14;
/// Virtual address to map the p2m list at.
pub const INIT_P2M: u32 = 15;
/// The module may be unmapped and named by pfn.
pub const MOD_START_PFN: u32 = 16;
/// Features the guest can use, as a bit mask.
pub const SUPPORTED_FEATURES: u32 = 17;
