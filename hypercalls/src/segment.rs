//! Descriptors and segment bases (`xen.h`, `arch-x86/xen.h`, `arch-x86/xen-x86_64.h`).

/// FS base.
pub const SEGBASE_FS: u32 = 0;
/// GS base of user mode.
pub const SEGBASE_GS_USER: u32 = 1;
/// GS base of kernel mode.
pub const SEGBASE_GS_KERNEL: u32 = 2;
/// The user GS selector, in the low 16 bits.
pub const SEGBASE_GS_USER_SEL: u32 = 3;

/// First GDT page that is the hypervisor's: 14 guest pages precede it.
pub const FIRST_RESERVED_GDT_PAGE: u32 = 14;
/// First descriptor that is the hypervisor's: the count `set_gdt` accepts at most is this.
pub const FIRST_RESERVED_GDT_ENTRY: u32 = FIRST_RESERVED_GDT_PAGE * 512;
