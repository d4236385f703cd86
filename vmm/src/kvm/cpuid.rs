//! CPUID between KVM and the guest's table: what the host can do comes in, what the CPU shall
//! answer in the guest goes out.

use super::open::HostError;
use crate::trap::{Cpuid, Leaf};
use kvm_bindings::{
    CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2,
};
use kvm_ioctls::Kvm;

/// The guest's table on this host.
///
/// # Errors
/// If KVM does not say what it supports.
pub(super) fn table(kvm: &Kvm, tsc_khz: u32) -> Result<Cpuid, HostError> {
    let supported = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(HostError::ioctl("list its CPUID leaves"))?;
    let leaf = |e: &kvm_cpuid_entry2| ((e.function, e.index), [e.eax, e.ebx, e.ecx, e.edx]);
    let leaves: Vec<((u32, u32), Leaf)> = supported.as_slice().iter().map(leaf).collect();
    Ok(Cpuid::new(leaves, tsc_khz))
}

/// The table in KVM's form.
///
/// # Errors
/// If it is longer than KVM takes.
pub(super) fn for_kvm(table: &Cpuid) -> Result<CpuId, HostError> {
    let entry = |((function, index), has_subleaves, [eax, ebx, ecx, edx]): (_, bool, Leaf)| {
        kvm_cpuid_entry2 {
            function,
            index,
            flags: if has_subleaves {
                KVM_CPUID_FLAG_SIGNIFCANT_INDEX
            } else {
                0
            },
            eax,
            ebx,
            ecx,
            edx,
            ..kvm_cpuid_entry2::default()
        }
    };
    let entries: Vec<kvm_cpuid_entry2> = table.entries().map(entry).collect();
    CpuId::from_entries(&entries)
        .map_err(|e| HostError::Unsuitable(format!("list of CPUID leaves: {e:?}")))
}
