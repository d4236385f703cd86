//! A KVM virtual machine with all of machine memory in one slot at guest-physical address 0, so
//! that guest-physical and machine addresses are one.
#![allow(unsafe_code, reason = "KVM_SET_USER_MEMORY_REGION takes a raw address")]

use super::install::{self, Entry};
use super::layout::HvLayout;
use super::open::HostError;
use crate::memory::Memory;
use kvm_bindings::{CpuId, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend};

/// One virtual machine.
#[derive(Debug)]
pub(super) struct Vm {
    /// KVM's handle.
    pub(super) fd: VmFd,
    /// What `cpuid` answers in user mode, where the CPU answers itself.
    pub(super) cpuid: CpuId,
    /// Where the hypervisor's frames are.
    pub(super) layout: HvLayout,
    /// All of machine memory; keeps the mapping alive as long as the slot.
    pub(super) memory: Memory,
}

impl Vm {
    /// Creates it, gives it `memory` and writes the hypervisor's frames.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn new(
        kvm: &Kvm,
        memory: Memory,
        layout: HvLayout,
        entry: Entry,
        cpuid: CpuId,
    ) -> Result<Vm, HostError> {
        let fd = kvm
            .create_vm()
            .map_err(HostError::ioctl("create a virtual machine"))?;
        install::install(&memory, &layout, entry)
            .map_err(|e| HostError::Unsuitable(format!("the hypervisor's frames: {e}")))?;
        let vm = Vm {
            fd,
            cpuid,
            layout,
            memory,
        };
        vm.set_slot(vm.layout.total_frames << hypercalls::PAGE_SHIFT)?;
        Ok(vm)
    }

    fn set_slot(&self, bytes: u64) -> Result<(), HostError> {
        let host = self
            .memory
            .mapping()
            .get_host_address(GuestAddress(0))
            .map_err(|e| HostError::Unsuitable(format!("guest memory: {e}")))?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: bytes,
            userspace_addr: host as u64,
        };
        // SAFETY: the mapping is `total_frames` pages long and lives as long as `self.memory`,
        // which is dropped after `self.fd` (field order).
        unsafe { self.fd.set_user_memory_region(region) }
            .map_err(HostError::ioctl("map guest memory"))
    }
}
