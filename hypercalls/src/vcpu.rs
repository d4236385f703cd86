//! `vcpu_op` (`vcpu.h`) and the state a new vCPU starts from (`arch-x86/xen.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Give a vCPU its first state: `VcpuGuestContext`.
pub const VCPUOP_INITIALISE: u32 = 0;
/// Let it run.
pub const VCPUOP_UP: u32 = 1;
/// Stop it.
pub const VCPUOP_DOWN: u32 = 2;
/// Whether it runs; -ENOENT beyond the last.
pub const VCPUOP_IS_UP: u32 = 3;
/// How long it ran: `VcpuRunstateInfo`.
pub const VCPUOP_GET_RUNSTATE_INFO: u32 = 4;
/// Keep the above up to date at an address.
pub const VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA: u32 = 5;
/// A periodic timer: [`SetPeriodicTimer`].
pub const VCPUOP_SET_PERIODIC_TIMER: u32 = 6;
/// Stop it.
pub const VCPUOP_STOP_PERIODIC_TIMER: u32 = 7;
/// A one-shot timer: [`SetSingleshotTimer`].
pub const VCPUOP_SET_SINGLESHOT_TIMER: u32 = 8;
/// Stop it.
pub const VCPUOP_STOP_SINGLESHOT_TIMER: u32 = 9;
/// Move `vcpu_info` to memory of the guest's: [`RegisterVcpuInfo`].
pub const VCPUOP_REGISTER_VCPU_INFO: u32 = 10;
/// Sends it an NMI.
pub const VCPUOP_SEND_NMI: u32 = 11;
/// Keep the time at an address too.
pub const VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA: u32 = 13;

/// Argument of [`VCPUOP_SET_PERIODIC_TIMER`]: 8 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetPeriodicTimer {
    /// ns between two ticks; at least 1,000,000.
    pub period_ns: u64,
}

/// The shortest period.
pub const MIN_PERIOD_NS: u64 = 1_000_000;

/// Argument of [`VCPUOP_SET_SINGLESHOT_TIMER`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetSingleshotTimer {
    /// Absolute system time in ns.
    pub timeout_abs_ns: u64,
    /// [`VCPU_SSHOTTMR_FUTURE`] or 0.
    pub flags: u32,
    /// Padding.
    pub pad: u32,
}

/// -ETIME if the time is past, instead of an event at once. Without effect in Xen 4.17.
pub const VCPU_SSHOTTMR_FUTURE: u32 = 1;

/// Argument of [`VCPUOP_REGISTER_VCPU_INFO`]: 16 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RegisterVcpuInfo {
    /// The frame.
    pub mfn: u64,
    /// Offset in it; the 64 bytes must fit.
    pub offset: u32,
    /// Padding.
    pub rsvd: u32,
}

/// Answer of [`VCPUOP_GET_RUNSTATE_INFO`]: 48 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VcpuRunstateInfo {
    /// 0 running, 1 runnable, 2 blocked, 3 offline.
    pub state: i32,
    /// Padding.
    pub pad: u32,
    /// When that state was entered, ns.
    pub state_entry_time: u64,
    /// ns in each state.
    pub time: [u64; 4],
}

/// General registers of [`VcpuGuestContext`] (`struct cpu_user_regs`): 200 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs, reason = "the registers' own names")]
pub struct CpuUserRegs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub error_code: u32,
    pub entry_vector: u32,
    pub rip: u64,
    pub cs: u16,
    pub pad0: u16,
    pub saved_upcall_mask: u8,
    pub pad1: [u8; 3],
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub es: u64,
    pub ds: u64,
    pub fs: u64,
    pub gs: u64,
}

/// What [`VCPUOP_INITIALISE`] takes: 5168 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VcpuGuestContext {
    /// FXSAVE image.
    pub fpu_ctxt: [u8; 512],
    /// `VGCF_*` bits.
    pub flags: u64,
    /// Registers.
    pub user_regs: CpuUserRegs,
    /// The trap table, indexed by vector.
    pub trap_ctxt: [crate::trap::TrapInfo; 256],
    /// LDT base.
    pub ldt_base: u64,
    /// LDT entries.
    pub ldt_ents: u64,
    /// GDT frames.
    pub gdt_frames: [u64; 16],
    /// GDT entries.
    pub gdt_ents: u64,
    /// Kernel stack selector.
    pub kernel_ss: u64,
    /// Kernel stack.
    pub kernel_sp: u64,
    /// CR0 to CR7; CR3 in 3, the user CR3 in 1, as [`xen_pfn_to_cr3`] packs them.
    pub ctrlreg: [u64; 8],
    /// DR0 to DR7.
    pub debugreg: [u64; 8],
    /// Event entry.
    pub event_callback_eip: u64,
    /// Failsafe entry.
    pub failsafe_callback_eip: u64,
    /// System-call entry.
    pub syscall_callback_eip: u64,
    /// `VMASST_TYPE_*` bits.
    pub vm_assist: u64,
    /// FS base.
    pub fs_base: u64,
    /// GS base in kernel mode.
    pub gs_base_kernel: u64,
    /// GS base in user mode.
    pub gs_base_user: u64,
}

/// In [`VcpuGuestContext::flags`]: the vCPU starts in kernel mode.
pub const VGCF_IN_KERNEL: u64 = 1 << 2;

/// A frame number as `ctrlreg[3]` holds it (`arch-x86/xen-x86_64.h`).
#[must_use]
pub const fn xen_pfn_to_cr3(pfn: u64) -> u64 {
    pfn << 12
}

const _: () = assert!(size_of::<VcpuRunstateInfo>() == 48);
const _: () = assert!(size_of::<CpuUserRegs>() == 200);
const _: () = assert!(size_of::<VcpuGuestContext>() == 5168);
