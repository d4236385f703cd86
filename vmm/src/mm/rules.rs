//! The pure rules of one entry: which bits it may have, which changes need no new validation, and
//! what Xen adds to it. No state, no memory: levels and entries in, entries or refusals out.

use super::Refusal;
use hypercalls::{Level, Pte, PteFlags};

/// Bits any present entry may have, at every level.
const COMMON: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::USER)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY)
    .union(PteFlags::AVAIL)
    .union(PteFlags::AVAIL_HIGH)
    .union(PteFlags::NX);
/// Bits that choose the cache mode; at L1, bit 7 is PAT.
const CACHE: PteFlags = PteFlags::PWT.union(PteFlags::PCD).union(PteFlags::PSE);
/// Bits whose change alone needs no new validation. RW is not among them, nor is the frame.
const FLAG_CHANGE: u64 = PteFlags::NX
    .union(PteFlags::AVAIL)
    .union(PteFlags::AVAIL_HIGH)
    .union(PteFlags::GLOBAL)
    .union(PteFlags::DIRTY)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::USER)
    .bits();

/// The bits a present entry of `level` may have; `io` if the domain has rights to I/O memory.
const fn allowed(level: Level, io: bool) -> PteFlags {
    match level {
        Level::L1 if io => COMMON.union(PteFlags::GLOBAL).union(CACHE),
        Level::L1 => COMMON.union(PteFlags::GLOBAL),
        Level::L2 | Level::L3 | Level::L4 => COMMON,
    }
}

/// Refuses a present entry with bits its level may not have.
///
/// # Errors
/// [`Refusal::BadFlags`].
#[inline]
pub(super) fn check_flags(level: Level, pte: Pte, io: bool) -> Result<(), Refusal> {
    if pte.flags().difference(allowed(level, io)).is_empty() {
        Ok(())
    } else {
        Err(Refusal::BadFlags { level, pte })
    }
}

/// Whether a present L1 entry has flags that no L1 entry is refused for.
#[inline]
pub(super) const fn is_plain_leaf(pte: Pte) -> bool {
    pte.flags().difference(allowed(Level::L1, false)).is_empty()
}

/// Whether `new` differs from `old`, both present, only in bits that give no new rights to the
/// frame: references stay as they are.
#[inline]
pub(super) const fn is_flag_change(old: Pte, new: Pte) -> bool {
    old.is_present() && (old.0 ^ new.0) & !FLAG_CHANGE == 0
}

/// The entry that is stored when the guest asks for `pte`. Kernel entries become usable at CPL3,
/// where the guest's kernel runs, and are marked; user entries become global. Entries that are
/// not present are the guest's own business.
#[inline]
pub(super) const fn adjust(level: Level, pte: Pte) -> Pte {
    if !pte.is_present() {
        return pte;
    }
    match level {
        Level::L1 => adjust_leaf(pte),
        Level::L2 | Level::L3 => pte.with(PteFlags::USER),
        Level::L4 => pte.with(PteFlags::USER.union(PteFlags::ACCESSED)),
    }
}

const fn adjust_leaf(pte: Pte) -> Pte {
    if pte.has(PteFlags::USER) && !pte.has(PteFlags::GUEST_KERNEL) {
        pte.with(PteFlags::GLOBAL)
    } else {
        // GLOBAL stays if the guest asked for it: nothing is global on a CPU without CR4.PGE.
        pte.with(PteFlags::USER.union(PteFlags::GUEST_KERNEL))
    }
}

#[cfg(test)]
mod proof;

#[cfg(test)]
mod tests {
    use super::*;

    const BIT52: u64 = 1 << 52;

    #[test]
    fn adjustments_are_xens() {
        for (level, asked, stored) in [
            (Level::L1, 0x5061, 0x5065 | BIT52),
            (Level::L1, 0x5067, 0x5167),
            (Level::L1, 0x5161, 0x5165 | BIT52),
            (Level::L1, 0x5167 | BIT52, 0x5167 | BIT52),
            (Level::L1, 0x5060, 0x5060),
            (Level::L2, 0x5063, 0x5067),
            (Level::L3, 0x5003, 0x5007),
            (Level::L4, 0x5003, 0x5027),
            (Level::L4, 0x5002, 0x5002),
        ] {
            assert_eq!(
                adjust(level, Pte(asked)),
                Pte(stored),
                "{level:?} {asked:x}"
            );
            assert_eq!(adjust(level, Pte(stored)), Pte(stored), "twice");
        }
    }

    /// PSE, GLOBAL and cache bits above L1 (XSA-148, XSA-167) and cache bits without rights.
    #[test]
    fn refused_bits_by_level() {
        for level in Level::ALL {
            for bit in (0..12).chain(52..64) {
                let pte = Pte(1 | 1 << bit);
                let cache = matches!(bit, 3 | 4 | 7);
                let global = bit == 8;
                let refused = cache || (global && level != Level::L1);
                assert_eq!(check_flags(level, pte, false).is_err(), refused, "{bit}");
                let with_io = (cache || global) && level != Level::L1;
                assert_eq!(check_flags(level, pte, true).is_err(), with_io, "{bit}");
            }
        }
    }

    /// RW must not change on the fast path (XSA-182), nor what is mapped or how it is cached.
    #[test]
    fn flag_changes_never_give_rights() {
        let old = Pte(0x1234_5001);
        for bit in 0..64 {
            let free = matches!(bit, 2 | 5 | 6 | 8..=11 | 52..=63);
            assert_eq!(is_flag_change(old, Pte(old.0 ^ 1 << bit)), free, "{bit}");
        }
        assert!(!is_flag_change(Pte(0x1234_5000), Pte(0x1234_5000)));
    }
}
