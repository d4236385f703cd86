//! A vCPU's general registers and selectors as the guest sees them.
//!
//! Comes in: what the host read at the exit, with the virtual selectors (0xe033 for the kernel,
//! whatever `iret` asked for in user mode). Goes out: what the host loads at the next entry; it
//! runs everything on its own flat segments and keeps these beside.

use hypercalls::trap::{FLAT_DS, FLAT_KERNEL_CS, FLAT_USER_CS32};
use hypercalls::vcpu::CpuUserRegs;

/// Carry, the first arithmetic flag.
pub const RFLAGS_CF: u64 = 1 << 0;
/// Bit 1, always set.
pub const RFLAGS_FIXED: u64 = 1 << 1;
/// Trap flag.
pub const RFLAGS_TF: u64 = 1 << 8;
/// Interrupts enabled: always set on the real CPU; in frames the upcall mask, inverted.
pub const RFLAGS_IF: u64 = 1 << 9;
/// Direction flag.
pub const RFLAGS_DF: u64 = 1 << 10;
/// I/O privilege, two bits.
pub const RFLAGS_IOPL: u64 = 3 << 12;
/// Nested task.
pub const RFLAGS_NT: u64 = 1 << 14;
/// Resume flag.
pub const RFLAGS_RF: u64 = 1 << 16;
/// Virtual-8086 mode.
pub const RFLAGS_VM: u64 = 1 << 17;
/// Alignment check.
pub const RFLAGS_AC: u64 = 1 << 18;
/// Zero flag.
pub const RFLAGS_ZF: u64 = 1 << 6;
/// Bits a guest may have on the real CPU: arithmetic, TF, DF, RF, AC and ID.
const RFLAGS_GUEST: u64 = 0x8d5 | RFLAGS_TF | RFLAGS_DF | RFLAGS_RF | RFLAGS_AC | 1 << 21;

/// The 32-bit code selector Linux gives user mode on its own.
const LINUX_USER_CS32: u16 = 0x23;

/// General registers, instruction pointer, flags and selectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the registers' own names")]
pub struct Regs {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
}

impl Regs {
    /// A kernel about to run at `rip` on the stack `rsp`, everything else 0.
    #[must_use]
    pub fn kernel(rip: u64, rsp: u64) -> Regs {
        Regs {
            rip,
            rsp,
            rflags: RFLAGS_FIXED | RFLAGS_IF,
            cs: FLAT_KERNEL_CS,
            ss: FLAT_DS,
            ..Regs::default()
        }
    }

    /// Whether they run 32-bit code.
    #[must_use]
    pub fn is_compat(&self) -> bool {
        matches!(self.cs, FLAT_USER_CS32 | LINUX_USER_CS32)
    }

    /// What `VCPUOP_initialise` gives a vCPU, the flags and privileges made safe.
    #[must_use]
    pub fn from_context(from: &CpuUserRegs) -> Regs {
        Regs {
            rax: from.rax,
            rbx: from.rbx,
            rcx: from.rcx,
            rdx: from.rdx,
            rsi: from.rsi,
            rdi: from.rdi,
            rbp: from.rbp,
            rsp: from.rsp,
            r8: from.r8,
            r9: from.r9,
            r10: from.r10,
            r11: from.r11,
            r12: from.r12,
            r13: from.r13,
            r14: from.r14,
            r15: from.r15,
            rip: from.rip,
            rflags: safe_flags(from.rflags),
            cs: from.cs | 3,
            ss: from.ss as u16 | 3,
            ds: from.ds as u16,
            es: from.es as u16,
            fs: from.fs as u16,
            gs: from.gs as u16,
        }
    }
}

/// `flags` with nothing in them that CPL3 code must not have: IF and bit 1 set, no IOPL, NT or VM.
#[must_use]
pub const fn safe_flags(flags: u64) -> u64 {
    (flags & RFLAGS_GUEST) | RFLAGS_FIXED | RFLAGS_IF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_gets_no_privilege_by_its_flags() {
        assert_eq!(
            safe_flags(u64::MAX) & (RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM),
            0
        );
        assert_eq!(safe_flags(0), RFLAGS_FIXED | RFLAGS_IF);
    }
}
