//! `xen_version` (`version.h`, `features.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Major << 16 | minor; no argument.
pub const XENVER_VERSION: u32 = 0;
/// 16 bytes of text.
pub const XENVER_EXTRAVERSION: u32 = 1;
/// Compiler, builder, date: 144 bytes.
pub const XENVER_COMPILE_INFO: u32 = 2;
/// 1024 bytes of capabilities.
pub const XENVER_CAPABILITIES: u32 = 3;
/// 64 bytes of change set.
pub const XENVER_CHANGESET: u32 = 4;
/// Start of the hypervisor's hole: 8 bytes.
pub const XENVER_PLATFORM_PARAMETERS: u32 = 5;
/// Feature bits of one 32-bit submap: [`FeatureInfo`].
pub const XENVER_GET_FEATURES: u32 = 6;
/// The page size; no argument.
pub const XENVER_PAGESIZE: u32 = 7;
/// The domain's handle: 16 bytes.
pub const XENVER_GUEST_HANDLE: u32 = 8;
/// The hypervisor's command line: 1024 bytes.
pub const XENVER_COMMANDLINE: u32 = 9;

/// Argument of [`XENVER_GET_FEATURES`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FeatureInfo {
    /// In: which group of 32.
    pub submap_idx: u32,
    /// Out: the bits.
    pub submap: u32,
}

/// Page tables need not be read-only.
pub const XENFEAT_WRITABLE_PAGE_TABLES: u32 = 0;
/// Descriptor tables need not be read-only.
pub const XENFEAT_WRITABLE_DESCRIPTOR_TABLES: u32 = 1;
/// The guest is translated by the hypervisor.
pub const XENFEAT_AUTO_TRANSLATED_PHYSMAP: u32 = 2;
/// The kernel runs at CPL0.
pub const XENFEAT_SUPERVISOR_MODE_KERNEL: u32 = 3;
/// Top-level tables may lie above 4 GiB.
pub const XENFEAT_PAE_PGDIR_ABOVE_4GB: u32 = 4;
/// `MMU_PT_UPDATE_PRESERVE_AD` works.
pub const XENFEAT_MMU_PT_UPDATE_PRESERVE_AD: u32 = 5;
/// Grant mappings keep the available bits.
pub const XENFEAT_GNTTAB_MAP_AVAIL_BITS: u32 = 7;
/// The name of each feature by number, as ELF notes spell it.
pub const FEATURE_NAMES: [(&str, u32); 7] = [
    ("writable_page_tables", XENFEAT_WRITABLE_PAGE_TABLES),
    (
        "writable_descriptor_tables",
        XENFEAT_WRITABLE_DESCRIPTOR_TABLES,
    ),
    ("auto_translated_physmap", XENFEAT_AUTO_TRANSLATED_PHYSMAP),
    ("supervisor_mode_kernel", XENFEAT_SUPERVISOR_MODE_KERNEL),
    ("pae_pgdir_above_4gb", XENFEAT_PAE_PGDIR_ABOVE_4GB),
    (
        "mmu_pt_update_preserve_ad",
        XENFEAT_MMU_PT_UPDATE_PRESERVE_AD,
    ),
    ("gnttab_map_avail_bits", XENFEAT_GNTTAB_MAP_AVAIL_BITS),
];

const _: () = assert!(size_of::<FeatureInfo>() == 8);
