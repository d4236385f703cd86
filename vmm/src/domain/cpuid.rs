//! What `cpuid` tells a PV guest: the host's answers without what the hypervisor keeps or cannot
//! give, and Xen's own leaves.
//!
//! Comes in: the host's leaves, once. Goes out: single answers for an emulated `cpuid`, and the
//! whole table for hosts that let the CPU answer by it. Where the CPU answers user mode's `cpuid` by
//! itself, nothing here counts for it: so all user state such a CPU may have must be the guest
//! kernel's to save, and what is masked here must be harmless to find.
//!
//! | leaf | kept of the host's answer |
//! |---|---|
//! | 1 ecx | all but MONITOR, VMX, SMX, PDCM, PCID, x2APIC, TSC deadline; the hypervisor bit is set; OSXSAVE follows CR4 |
//! | 1 edx | all but PSE, MCE, APIC, SEP, MTRR, PGE, MCA, PSE-36, ACPI, thermal |
//! | 5, 6, a, 12, 14, 19 to 1e, from 20 | nothing: MONITOR, power, counters, SGX, PT, keys, AMX, AVX10 |
//! | 7 | instructions that need no state of their own but AVX's and AVX-512's |
//! | d | x87, SSE, AVX, AVX-512; sizes follow XCR0 (`xstate`) |
//! | 4000_0000 to 5 | Xen's own |
//! | 8000_0001 | all but SVM, XOP, FMA4, counters, 1 GiB pages, RDTSCP, and what leaf 1 lacks |
//! | 8000_0008 ebx; a, 1b, 1c, from 1f | nothing: speculation control, SVM, IBS, encryption |

use super::xstate;
use std::collections::BTreeMap;

/// The version of the interface a guest is told of: 4.17.
pub const VERSION: (u16, u16) = (4, 17);

/// One answer: eax, ebx, ecx, edx.
pub type Leaf = [u32; 4];

/// The first of the hypervisor's leaves.
const XEN: u32 = 0x4000_0000;
/// Leaf and subleaf whose eax tells the TSC's frequency in kHz.
pub const TSC_LEAF: (u32, u32) = (XEN + 3, 2);
/// The last leaf Xen has.
const XEN_LAST: u32 = XEN + 5;
/// "XenVMMXenVMM".
const SIGNATURE: [u32; 3] = [0x566e_6558, 0x6558_4d4d, 0x4d4d_566e];

const fn bits(numbers: &[u32]) -> u32 {
    let mut set = 0;
    let mut i = 0;
    while i < numbers.len() {
        set |= 1 << numbers[i];
        i += 1;
    }
    set
}

/// Leaf 1, ecx: MONITOR, VMX, SMX, PDCM, PCID, x2APIC, TSC deadline, OSXSAVE.
const LEAF_1_ECX: u32 = bits(&[3, 5, 6, 15, 17, 21, 24, 27]);
/// Leaf 1, edx, and its copy on AMD: PSE, MCE, APIC, SEP, MTRR, PGE, MCA, PSE-36; ACPI, SS, TM.
const LEAF_1_EDX: u32 = bits(&[3, 7, 9, 11, 12, 13, 14, 17, 22, 29]);
/// The hypervisor bit of leaf 1, ecx.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 7, ebx: all but BMI1, AVX2, BMI2, ERMS, AVX-512, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA, and FDP
/// and FCS quirks.
const LEAF_7_EBX_KEPT: u32 = bits(&[
    3, 5, 6, 8, 9, 13, 16, 17, 18, 19, 21, 23, 24, 28, 29, 30, 31,
]);
/// Leaf 7, ecx: all but AVX-512's and AVX's vector extensions.
const LEAF_7_ECX_KEPT: u32 = bits(&[1, 6, 8, 9, 10, 11, 12, 14]);
/// Leaf 7, edx: all but fast short REP MOV and AVX-512's vector extensions.
const LEAF_7_EDX_KEPT: u32 = bits(&[2, 3, 4, 8, 23]);
/// Leaf 7.1, eax: all but AVX's and AVX-512's vector extensions.
const LEAF_7_1_EAX_KEPT: u32 = bits(&[4, 5, 23]);
/// Leaf 8000_0001, ecx: SVM, extended APIC space, OSVW, IBS, XOP, SKINIT, WDT, LWP, FMA4, topology, performance counters.
const EXTENDED_ECX: u32 = bits(&[2, 3, 9, 10, 11, 12, 13, 15, 16, 22, 23, 24, 28]);
/// Leaf 8000_0001, edx, beside those of leaf 1: 1 GiB pages, RDTSCP.
const EXTENDED_EDX: u32 = bits(&[26, 27]);

/// The answers.
#[derive(Clone, Debug)]
pub struct Cpuid {
    leaves: BTreeMap<(u32, u32), Leaf>,
    tsc_khz: u32,
}

impl Cpuid {
    /// The answers for a host that gives `host`: (leaf, subleaf) and answer each.
    #[must_use]
    pub fn new(host: impl IntoIterator<Item = ((u32, u32), Leaf)>, tsc_khz: u32) -> Cpuid {
        let own = |&((leaf, _), _): &((u32, u32), Leaf)| leaf & 0xf000_0000 != XEN;
        let leaves = host.into_iter().filter(own);
        let leaves = leaves.map(|(at, leaf)| (at, allowed(at.0, at.1, leaf)));
        Cpuid {
            leaves: leaves.collect(),
            tsc_khz,
        }
    }

    /// The answer to `leaf` and `subleaf`; zeroes for what is not there.
    #[must_use]
    pub fn get(&self, leaf: u32, subleaf: u32) -> Leaf {
        if (XEN..=XEN_LAST).contains(&leaf) {
            return self.xen(leaf - XEN, subleaf);
        }
        let exact = self.leaves.get(&(leaf, subleaf));
        let plain = || self.leaves.get(&(leaf, 0)).filter(|_| !has_subleaves(leaf));
        exact.or_else(plain).copied().unwrap_or_default()
    }

    /// Every answer: (leaf, subleaf), whether the subleaf matters, and the answer.
    pub fn entries(&self) -> impl Iterator<Item = ((u32, u32), bool, Leaf)> {
        let xen = (XEN..=XEN_LAST).map(|leaf| (leaf, 0));
        let xen = xen.chain([(XEN + 3, 1), (XEN + 3, 2)]);
        let all = self.leaves.keys().copied().chain(xen);
        all.map(|(leaf, sub)| {
            (
                (leaf, sub),
                has_subleaves(leaf),
                self.answer(leaf, sub, false, xstate::X87),
            )
        })
    }

    fn xen(&self, index: u32, subleaf: u32) -> Leaf {
        let [ebx, ecx, edx] = SIGNATURE;
        match (index, subleaf) {
            (0, _) => [XEN_LAST, ebx, ecx, edx],
            (1, _) => [u32::from(VERSION.0) << 16 | u32::from(VERSION.1), 0, 0, 0],
            // One hypercall page, its MSR, and MMU_PT_UPDATE_PRESERVE_AD.
            (2, _) => [1, XEN, 1, 0],
            // The TSC is not emulated and runs at this rate.
            (3, 0) => [2, 0, self.tsc_khz, 0],
            (3, 2) => [self.tsc_khz, 0, 0, 0],
            _ => [0; 4],
        }
    }
}

fn has_subleaves(leaf: u32) -> bool {
    matches!(leaf, 4 | 7 | 0xb | 0xd | 0x14 | 0x1f | 0x8000_001d) || leaf == XEN + 3
}

/// The host's answer without what a guest must not see.
fn allowed(leaf: u32, subleaf: u32, [eax, ebx, ecx, edx]: Leaf) -> Leaf {
    match (leaf, subleaf) {
        (1, _) => [eax, ebx, ecx & !LEAF_1_ECX | HYPERVISOR, edx & !LEAF_1_EDX],
        (7, 0) => [
            eax.min(1),
            ebx & LEAF_7_EBX_KEPT,
            ecx & LEAF_7_ECX_KEPT,
            edx & LEAF_7_EDX_KEPT,
        ],
        (7, 1) => [eax & LEAF_7_1_EAX_KEPT, 0, 0, 0],
        (xstate::LEAF, _) => xstate::allowed(subleaf, [eax, ebx, ecx, edx]),
        // MONITOR, power, further features, performance counters, SGX, PT, AMX, keys.
        (5 | 6 | 7 | 0xa | 0x12..=0x14 | 0x19..=0x1e | 0x20.., _) if leaf < XEN => [0; 4],
        (0x8000_0001, _) => [
            eax,
            ebx,
            ecx & !EXTENDED_ECX,
            edx & !(LEAF_1_EDX & !(1 << 11 | 1 << 22 | 1 << 29) | EXTENDED_EDX),
        ],
        // Mitigations' and cache control bits, the SVM and memory-encryption leaves.
        (0x8000_0008, _) => [eax, 0, ecx, 0],
        (0x8000_000a | 0x8000_001b | 0x8000_001c | 0x8000_001f.., _) => [0; 4],
        _ => [eax, ebx, ecx, edx],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Cpuid {
        let all = u32::MAX;
        let host = [1, 7, 0xd, 0x8000_0001, XEN, 0x4000_0100].map(|l| ((l, 0), [all; 4]));
        Cpuid::new(host, 2_400_000)
    }

    #[test]
    fn what_the_hypervisor_cannot_give_is_masked() {
        let p = policy();
        let [_, _, ecx, edx] = p.get(1, 0);
        for (bit, name) in [(27, "OSXSAVE"), (17, "PCID"), (3, "MONITOR")] {
            assert_eq!(ecx >> bit & 1, 0, "{name}");
        }
        for (bit, name) in [
            (3, "PSE"),
            (13, "PGE"),
            (9, "APIC"),
            (12, "MTRR"),
            (14, "MCA"),
        ] {
            assert_eq!(edx >> bit & 1, 0, "{name}");
        }
        assert_eq!(ecx >> 31, 1);
        let [_, ebx, ..] = p.get(7, 0);
        for (bit, name) in [(0, "FSGSBASE"), (7, "SMEP"), (20, "SMAP")] {
            assert_eq!(ebx >> bit & 1, 0, "{name}");
        }
        let [.., edx] = p.get(0x8000_0001, 0);
        assert_eq!(
            edx & bits(&[11, 20, 29]),
            bits(&[11, 20, 29]),
            "SYSCALL, NX, LM"
        );
    }

    #[test]
    fn xens_leaves_replace_the_hosts() {
        let p = policy();
        let [last, ebx, ecx, edx] = p.get(XEN, 0);
        let text: Vec<u8> = [ebx, ecx, edx]
            .iter()
            .flat_map(|r| r.to_le_bytes())
            .collect();
        assert_eq!((last, text.as_slice()), (XEN_LAST, &b"XenVMMXenVMM"[..]));
        assert_eq!(p.get(XEN + 3, 0)[2], 2_400_000);
        assert_eq!(p.get(0x4000_0100, 0), [0; 4]);
        assert!(
            p.entries()
                .any(|((leaf, sub), ..)| (leaf, sub) == (XEN + 3, 2))
        );
    }
}
