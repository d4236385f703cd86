//! CPUID between KVM and the guest's table: what the host can do comes in, what the CPU shall
//! answer in the guest goes out.
//!
//! What the host can do is what KVM says it supports. Where user mode is answered by the CPU all
//! the same (`native`), programs use what that says; the guest's kernel must know of it too, or it
//! would not save their registers.

use super::open::HostError;
use crate::domain::{Cpuid, Leaf};
use kvm_bindings::{
    CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2,
};
use kvm_ioctls::Kvm;
use std::arch::x86_64::{__cpuid_count, CpuidResult};
use std::collections::BTreeMap;

/// The leaf of extended state.
const XSTATE: u32 = 0xd;

/// The guest's table on this host.
///
/// # Errors
/// If KVM does not say what it supports.
pub(super) fn table(kvm: &Kvm, tsc_khz: u32, native: bool) -> Result<Cpuid, HostError> {
    let supported = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(HostError::ioctl("list its CPUID leaves"))?;
    let leaf = |e: &kvm_cpuid_entry2| ((e.function, e.index), [e.eax, e.ebx, e.ecx, e.edx]);
    let mut leaves: BTreeMap<(u32, u32), Leaf> = supported.as_slice().iter().map(leaf).collect();
    if native {
        add_features(&mut leaves, |leaf, subleaf| {
            let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, subleaf);
            [eax, ebx, ecx, edx]
        });
    }
    Ok(Cpuid::new(leaves, tsc_khz))
}

/// Adds the features that `cpu` has: leaves 1, 7, d and 8000_0001. Of the extended state no more
/// than KVM can switch.
fn add_features(leaves: &mut BTreeMap<(u32, u32), Leaf>, cpu: impl Fn(u32, u32) -> Leaf) {
    for leaf in [1, 0x8000_0001] {
        let [_, _, more_ecx, more_edx] = cpu(leaf, 0);
        let [.., ecx, edx] = leaves.entry((leaf, 0)).or_default();
        *ecx |= more_ecx;
        *edx |= more_edx;
    }
    for subleaf in [0, 1] {
        leaves.insert((7, subleaf), cpu(7, subleaf));
    }
    let [switched, ..] = leaves.get(&(XSTATE, 0)).copied().unwrap_or_default();
    for subleaf in 0..u64::BITS {
        leaves.insert((XSTATE, subleaf), cpu(XSTATE, subleaf));
    }
    leaves
        .entry((XSTATE, 0))
        .and_modify(|[eax, ..]| *eax &= switched);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_features_are_added_but_no_state_that_kvm_cannot_switch() {
        let kvm = [((1, 0), [1, 2, 4, 8]), ((XSTATE, 0), [7, 0, 0, 0])];
        let mut leaves = BTreeMap::from(kvm);
        add_features(&mut leaves, |leaf, subleaf| match (leaf, subleaf) {
            (1, 0) => [0x10, 0x10, 0x10, 0x10],
            (XSTATE, 0) => [0xe7, 9, 9, 9],
            _ => [leaf, subleaf, 0, 0],
        });
        assert_eq!(leaves[&(1, 0)], [1, 2, 0x14, 0x18]);
        assert_eq!(leaves[&(7, 1)], [7, 1, 0, 0]);
        assert_eq!(leaves[&(XSTATE, 0)], [7, 9, 9, 9]);
        assert_eq!(leaves[&(XSTATE, 6)], [XSTATE, 6, 0, 0]);
    }
}
