//! Extended state (XSAVE): which components a guest may switch on, and how large their areas are.
//!
//! XSAVE, XRSTOR and XGETBV run in the guest as they are. Only `xsetbv` and CR4.OSXSAVE are
//! privileged: they are emulated, and the host loads what they say. Supervisor state, protection
//! keys, and components whose state the kernel must ask for (AMX) are not offered.

use super::cpuid::{Cpuid, Leaf};

/// CR4.OSXSAVE.
pub const CR4_OSXSAVE: u64 = 1 << 18;
/// Leaf 1, ecx: XSAVE; OSXSAVE, which follows CR4.
const XSAVE: u32 = 1 << 26;
const OSXSAVE: u32 = 1 << 27;
/// The leaf of extended state.
pub(super) const LEAF: u32 = 0xd;
/// x87 and SSE, which have their place in the legacy area.
const LEGACY: u64 = 0b11;
pub(super) const X87: u64 = 1 << 0;
const AVX: u64 = 1 << 2;
/// Mask registers, upper halves of the first 16, the other 16: together or not at all.
const AVX512: u64 = 0b111 << 5;
/// What may be offered.
const OFFERED: u64 = LEGACY | AVX | AVX512;
/// Leaf d.1, eax: XSAVEOPT, XSAVEC, XGETBV with ecx = 1.
const INSTRUCTIONS: u32 = 0b111;
/// Bytes of legacy area and header.
const FIRST: u32 = 512 + 64;
/// Subleaf's ecx: the component begins at a multiple of 64 in a compacted area.
const ALIGNED: u32 = 1 << 1;

/// The host's answer of [`LEAF`] without what is not offered.
pub(super) fn allowed(subleaf: u32, [eax, ebx, ecx, _]: Leaf) -> Leaf {
    match subleaf {
        0 => [eax & OFFERED as u32, 0, 0, 0],
        1 => [eax & INSTRUCTIONS, 0, 0, 0],
        2..=63 if OFFERED >> subleaf & 1 != 0 => [eax, ebx, ecx & ALIGNED, 0],
        _ => [0; 4],
    }
}

impl Cpuid {
    /// The components XCR0 may have; 0 if the host has no XSAVE.
    #[must_use]
    pub fn xcr0(&self) -> u64 {
        let [.., ecx, _] = self.get(1, 0);
        match ecx & XSAVE {
            0 => 0,
            _ => u64::from(self.get(LEAF, 0)[0]),
        }
    }

    /// Whether XCR0 may be `value`.
    #[must_use]
    pub fn may_set_xcr0(&self, value: u64) -> bool {
        let wants = |bits| value & bits != 0;
        value & !self.xcr0() == 0
            && wants(X87)
            && (!wants(AVX) || value & LEGACY == LEGACY)
            && (!wants(AVX512) || value & AVX512 == AVX512 && wants(AVX))
    }

    /// The answer on a vCPU whose OSXSAVE and XCR0 are these.
    #[must_use]
    pub fn answer(&self, leaf: u32, subleaf: u32, osxsave: bool, xcr0: u64) -> Leaf {
        let [eax, ebx, ecx, edx] = self.get(leaf, subleaf);
        match (leaf, subleaf) {
            (1, _) if osxsave && ecx & XSAVE != 0 => [eax, ebx, ecx | OSXSAVE, edx],
            (LEAF, 0) if eax != 0 => [eax, self.size(xcr0), self.size(u64::from(eax)), edx],
            (LEAF, 1) if eax != 0 => [eax, self.compacted_size(xcr0), ecx, edx],
            _ => [eax, ebx, ecx, edx],
        }
    }

    /// Bytes of an area in the standard format.
    fn size(&self, components: u64) -> u32 {
        let ends = extended(components).map(|i| {
            let [size, offset, ..] = self.get(LEAF, i);
            offset.saturating_add(size)
        });
        ends.fold(FIRST, u32::max)
    }

    /// Bytes of an area in the compacted format.
    fn compacted_size(&self, components: u64) -> u32 {
        extended(components).fold(FIRST, |end, i| {
            let [size, _, flags, _] = self.get(LEAF, i);
            let start = match flags & ALIGNED {
                0 => end,
                _ => end.saturating_add(63) & !63,
            };
            start.saturating_add(size)
        })
    }
}

fn extended(components: u64) -> impl Iterator<Item = u32> {
    (2..64).filter(move |i| components >> i & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with AVX, AVX-512 and protection keys, laid out as CPUs have them.
    fn host() -> Cpuid {
        let leaves = [
            ((1, 0), [0, 0, XSAVE, 0]),
            ((LEAF, 0), [0x2e7, 2696, 2696, 0]),
            ((LEAF, 1), [0x1f, 0, 0x1800, 0]),
            ((LEAF, 2), [256, 576, 0, 0]),
            ((LEAF, 5), [64, 1088, 0, 0]),
            ((LEAF, 6), [512, 1152, 0, 0]),
            ((LEAF, 7), [1024, 1664, 2, 0]),
            ((LEAF, 9), [8, 2688, 0, 0]),
        ];
        Cpuid::new(leaves, 0)
    }

    #[test]
    fn keys_and_supervisor_state_are_not_offered() {
        let p = host();
        assert_eq!(p.xcr0(), 0xe7);
        assert_eq!(p.get(LEAF, 1)[0], 7);
        assert_eq!(p.get(LEAF, 9), [0; 4]);
        assert_eq!(Cpuid::new([], 0).xcr0(), 0);
    }

    #[test]
    fn sizes_follow_xcr0() {
        let p = host();
        let standard = |xcr0| p.answer(LEAF, 0, false, xcr0)[1];
        assert_eq!((standard(1), standard(7), standard(0xe7)), (576, 832, 2688));
        assert_eq!(p.answer(LEAF, 0, false, 1)[2], 2688);
        let compacted = |xcr0| p.answer(LEAF, 1, false, xcr0)[1];
        assert_eq!((compacted(3), compacted(7)), (576, 832));
        // 832 + 64 + 512 = 1408, a multiple of 64.
        assert_eq!(compacted(0xe7), 1408 + 1024);
    }

    #[test]
    fn osxsave_needs_xsave() {
        let p = host();
        assert_eq!(p.answer(1, 0, false, 1)[2] & OSXSAVE, 0);
        assert_ne!(p.answer(1, 0, true, 1)[2] & OSXSAVE, 0);
        assert_eq!(Cpuid::new([], 0).answer(1, 0, true, 1), [0; 4]);
    }

    #[test]
    fn xcr0_must_make_sense() {
        let p = host();
        for good in [1, 3, 7, 0xe7] {
            assert!(p.may_set_xcr0(good), "{good:#x}");
        }
        for bad in [0, 2, 5, 4, 0x27, 0xe3, 0x2e7, u64::MAX] {
            assert!(!p.may_set_xcr0(bad), "{bad:#x}");
        }
    }
}
