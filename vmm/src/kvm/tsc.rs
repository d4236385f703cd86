//! The time-stamp counter. Where the host's is good for it, every vCPU is given the host's own, so
//! that all vCPUs and the VMM tell one time, which never drifts apart.
#![allow(
    unsafe_code,
    reason = "rdtsc, and an ioctl without a safe wrapper on x86"
)]

use kvm_bindings::{KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, KVMIO, kvm_device_attr};
use kvm_ioctls::VcpuFd;
use std::arch::x86_64::{__cpuid, _rdtsc};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

ioctl_iow_nr!(KVM_SET_DEVICE_ATTR, KVMIO, 0xe1, kvm_device_attr);

/// Power management's leaf; edx bit 8: the TSC runs at one rate, on all CPUs, in all states.
const POWER: u32 = 0x8000_0007;
const INVARIANT: u32 = 1 << 8;

/// The host's counter.
pub(super) fn read() -> u64 {
    // SAFETY: has no precondition on x86-64.
    unsafe { _rdtsc() }
}

/// Makes the guest's counter the host's; whether it is now.
pub(super) fn share(fd: &VcpuFd) -> bool {
    let is_good = __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0;
    is_good && set_offset(fd, 0)
}

fn set_offset(fd: &VcpuFd, offset: u64) -> bool {
    let attr = kvm_device_attr {
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: &raw const offset as u64,
        ..kvm_device_attr::default()
    };
    // SAFETY: KVM reads 8 bytes from `addr`, where `offset` is, which lives until the call is over.
    unsafe { ioctl_with_ref(fd, KVM_SET_DEVICE_ATTR(), &attr) == 0 }
}
