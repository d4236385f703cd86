//! What a read-modify-write instruction makes of a memory operand: pure arithmetic.
//!
//! Comes in: the operand's old value and the instruction's other operands. Goes out: its new
//! value, what registers and flags become.

use super::operand::mask;
use crate::domain::{RFLAGS_CF, RFLAGS_ZF};
use iced_x86::Mnemonic;

const PF: u64 = 1 << 2;
const AF: u64 = 1 << 4;
const SF: u64 = 1 << 7;
const OF: u64 = 1 << 11;
const ARITHMETIC: u64 = RFLAGS_CF | PF | AF | RFLAGS_ZF | SF | OF;

/// What to compute with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands {
    /// The memory operand's value.
    pub(super) old: u64,
    /// The other operand: a register or an immediate; a bit's number for bit operations.
    pub(super) source: u64,
    /// rax's value, which `cmpxchg` compares with.
    pub(super) accumulator: u64,
    /// Bytes.
    pub(super) size: usize,
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    /// The memory operand's new value; `None` unchanged.
    pub(super) new: Option<u64>,
    /// What the source register becomes.
    pub(super) source: Option<u64>,
    /// What the accumulator becomes.
    pub(super) accumulator: Option<u64>,
    /// The flags that change, and their values.
    pub(super) flags: (u64, u64),
}

impl Effect {
    fn store(new: u64) -> Effect {
        Effect {
            new: Some(new),
            source: None,
            accumulator: None,
            flags: (0, 0),
        }
    }
}

/// What `mnemonic` does; `None` for an instruction that is not emulated.
pub(super) fn operate(mnemonic: Mnemonic, o: &Operands) -> Option<Effect> {
    let Operands {
        old, source, size, ..
    } = *o;
    let logic = |new| with_flags(new, logic_flags(new, size));
    Some(match mnemonic {
        Mnemonic::Mov | Mnemonic::Movnti => Effect::store(source),
        Mnemonic::Xchg => Effect {
            source: Some(old),
            ..Effect::store(source)
        },
        Mnemonic::Cmpxchg => cmpxchg(o),
        Mnemonic::And => logic(old & source),
        Mnemonic::Or => logic(old | source),
        Mnemonic::Xor => logic(old ^ source),
        Mnemonic::Add => add(old, source, size),
        Mnemonic::Xadd => Effect {
            source: Some(old),
            ..add(old, source, size)
        },
        Mnemonic::Sub => {
            let new = old.wrapping_sub(source) & mask(size);
            with_flags(new, sub_flags(old, source, size))
        }
        Mnemonic::Bts => bit(old, source, size, |word, bit| word | bit),
        Mnemonic::Btr => bit(old, source, size, |word, bit| word & !bit),
        Mnemonic::Btc => bit(old, source, size, |word, bit| word ^ bit),
        _ => return None,
    })
}

fn with_flags(new: u64, flags: u64) -> Effect {
    Effect {
        flags: (ARITHMETIC, flags),
        ..Effect::store(new)
    }
}

fn cmpxchg(o: &Operands) -> Effect {
    let compared = o.accumulator & mask(o.size);
    let equal = compared == o.old;
    Effect {
        new: equal.then_some(o.source),
        source: None,
        accumulator: (!equal).then_some(o.old),
        flags: (ARITHMETIC, sub_flags(compared, o.old, o.size)),
    }
}

fn add(a: u64, b: u64, size: usize) -> Effect {
    let (a, b) = (a & mask(size), b & mask(size));
    let wide = u128::from(a) + u128::from(b);
    let new = wide as u64 & mask(size);
    let carry = wide >> (size * 8) != 0;
    let overflow = (a ^ new) & (b ^ new) & sign(size) != 0;
    let flags = result_flags(new, size)
        | if carry { RFLAGS_CF } else { 0 }
        | if overflow { OF } else { 0 }
        | ((a ^ b ^ new) & AF);
    with_flags(new, flags)
}

fn sub_flags(a: u64, b: u64, size: usize) -> u64 {
    let (a, b) = (a & mask(size), b & mask(size));
    let new = a.wrapping_sub(b) & mask(size);
    let overflow = (a ^ b) & (a ^ new) & sign(size) != 0;
    result_flags(new, size)
        | if a < b { RFLAGS_CF } else { 0 }
        | if overflow { OF } else { 0 }
        | ((a ^ b ^ new) & AF)
}

fn logic_flags(new: u64, size: usize) -> u64 {
    result_flags(new & mask(size), size)
}

fn result_flags(new: u64, size: usize) -> u64 {
    let even = (new as u8).count_ones().is_multiple_of(2);
    let zero = if new == 0 { RFLAGS_ZF } else { 0 };
    let negative = if new & sign(size) != 0 { SF } else { 0 };
    zero | negative | if even { PF } else { 0 }
}

fn sign(size: usize) -> u64 {
    1 << (size * 8 - 1)
}

/// A bit operation: CF is the bit's old value; its number wraps within the operand.
fn bit(old: u64, number: u64, size: usize, change: impl Fn(u64, u64) -> u64) -> Effect {
    let bit = 1 << (number % (size as u64 * 8));
    let was = if old & bit != 0 { RFLAGS_CF } else { 0 };
    Effect {
        flags: (RFLAGS_CF, was),
        ..Effect::store(change(old, bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mnemonic: Mnemonic, old: u64, source: u64, accumulator: u64, size: usize) -> Effect {
        let operands = Operands {
            old,
            source,
            accumulator,
            size,
        };
        operate(mnemonic, &operands).expect("emulated")
    }

    #[test]
    fn cmpxchg_stores_only_on_a_match() {
        let hit = run(Mnemonic::Cmpxchg, 5, 9, 0xff_0000_0005, 4);
        assert_eq!((hit.new, hit.accumulator), (Some(9), None));
        assert_ne!(hit.flags.1 & RFLAGS_ZF, 0);
        let miss = run(Mnemonic::Cmpxchg, 5, 9, 6, 8);
        assert_eq!((miss.new, miss.accumulator), (None, Some(5)));
        assert_eq!(miss.flags.1 & RFLAGS_ZF, 0);
    }

    #[test]
    fn bits_wrap_and_report_what_they_were() {
        let set = run(Mnemonic::Bts, 0, 65, 0, 8);
        assert_eq!((set.new, set.flags), (Some(2), (RFLAGS_CF, 0)));
        let clear = run(Mnemonic::Btr, 2, 1, 0, 8);
        assert_eq!((clear.new, clear.flags), (Some(0), (RFLAGS_CF, RFLAGS_CF)));
        assert_eq!(run(Mnemonic::Btc, 1, 0, 0, 8).new, Some(0));
    }

    #[test]
    fn addition_carries_and_overflows_by_size() {
        let carry = run(Mnemonic::Add, 0xff, 1, 0, 1);
        assert_eq!(carry.new, Some(0));
        assert_eq!(carry.flags.1, RFLAGS_CF | RFLAGS_ZF | PF | AF);
        let overflow = run(Mnemonic::Add, i64::MAX as u64, 1, 0, 8);
        assert_ne!(overflow.flags.1 & OF, 0);
        assert_eq!(overflow.flags.1 & RFLAGS_CF, 0);
        let exchange = run(Mnemonic::Xadd, 7, 3, 0, 8);
        assert_eq!((exchange.new, exchange.source), (Some(10), Some(7)));
    }

    #[test]
    fn the_rest() {
        assert_eq!(run(Mnemonic::Xchg, 1, 2, 0, 8).source, Some(1));
        assert_eq!(run(Mnemonic::And, 6, 3, 0, 8).new, Some(2));
        assert_eq!(run(Mnemonic::Or, 6, 3, 0, 8).new, Some(7));
        assert_eq!(run(Mnemonic::Sub, 0, 1, 0, 2).new, Some(0xffff));
        let operands = Operands {
            old: 0,
            source: 0,
            accumulator: 0,
            size: 8,
        };
        assert_eq!(operate(Mnemonic::Pop, &operands), None);
    }
}
