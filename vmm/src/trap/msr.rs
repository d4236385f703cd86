//! Model-specific registers a PV kernel may touch: the segment bases are real, a few others read
//! as constants and ignore writes, all else faults.

use crate::domain::{Domain, Vcpu};
use hypercalls::Vaddr;

const SYSENTER: std::ops::RangeInclusive<u32> = 0x174..=0x176;
const MISC_ENABLE: u32 = 0x1a0;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
/// STAR, LSTAR, CSTAR, SFMASK: `syscall` is set up by callbacks.
const SYSCALL: std::ops::RangeInclusive<u32> = 0xc000_0081..=0xc000_0084;
const FS_BASE: u32 = 0xc000_0100;
const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;
const TSC_AUX: u32 = 0xc000_0103;

/// Fast strings; no branch trace store, no precise event sampling.
const MISC_ENABLE_VALUE: u64 = 1 | 1 << 11 | 1 << 12;
/// The PAT after reset (Intel SDM vol. 3 table 11-12).
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// SCE, LME, LMA, NXE.
const EFER_VALUE: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;

/// A register's value, if it can be read.
pub(super) fn read(v: &Vcpu, index: u32) -> Option<u64> {
    Some(match index {
        FS_BASE => v.fs_base,
        GS_BASE => v.gs_base_kernel,
        KERNEL_GS_BASE => v.gs_base_user,
        EFER => EFER_VALUE,
        PAT => PAT_RESET,
        MISC_ENABLE => MISC_ENABLE_VALUE,
        TSC_AUX => 0,
        i if SYSCALL.contains(&i) || SYSENTER.contains(&i) => 0,
        _ => return None,
    })
}

/// Writes a register, if it can be written.
pub(super) fn write(dom: &mut Domain, cpu: usize, index: u32, value: u64) -> Option<()> {
    let v = &mut dom.vcpus[cpu];
    let base = match index {
        FS_BASE => &mut v.fs_base,
        GS_BASE => &mut v.gs_base_kernel,
        KERNEL_GS_BASE => &mut v.gs_base_user,
        EFER | PAT | MISC_ENABLE | TSC_AUX => return Some(()),
        i if SYSCALL.contains(&i) || SYSENTER.contains(&i) => return Some(()),
        _ => return None,
    };
    *base = Vaddr(value).is_canonical().then_some(value)?;
    v.segments_dirty = true;
    Some(())
}
