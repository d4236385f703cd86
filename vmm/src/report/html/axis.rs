//! The axis of all trap charts: logarithmic, with a place of its own for none. Nothing and one are
//! a step apart, so that zero is neither lost nor off the page.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// The share of the axis between 0 and 1.
const STEP: f64 = 0.08;

/// Traps, from none to the most there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrapAxis {
    most: u64,
}

impl TrapAxis {
    /// An axis on which all of `traps` have a place.
    pub(super) fn holding(traps: impl Iterator<Item = u64>) -> TrapAxis {
        let most = traps.max().unwrap_or(0).max(10);
        TrapAxis { most }
    }

    /// Where `traps` is, 0 to 1.
    fn share(self, traps: u64) -> f64 {
        match traps {
            0 => 0.0,
            n => {
                let log = (n as f64).log10() / (self.most as f64).log10();
                STEP + (1.0 - STEP) * log.min(1.0)
            }
        }
    }

    /// 0, 1, and the powers of ten that are on the axis: every one, or as many as find room.
    pub(super) fn ticks(self, room: usize) -> Vec<u64> {
        let powers = (0..=self.most.ilog10()).map(|p| 10u64.pow(p));
        let powers: Vec<u64> = powers.collect();
        let every = powers.len().div_ceil(room.saturating_sub(1).max(1));
        let shown = powers.into_iter().step_by(every);
        std::iter::once(0).chain(shown).collect()
    }
}

impl Ranged for TrapAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = u64;

    fn map(&self, traps: &u64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.share(*traps)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<u64> {
        self.ticks(hint.max_num_points())
    }

    fn range(&self) -> Range<u64> {
        0..self.most
    }
}

/// A number for a narrow place: `512`, `12k`, `3M`.
pub(super) fn short(n: u64) -> String {
    let units = [
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
    ];
    let unit = units.into_iter().find(|(size, _)| n >= *size);
    match unit {
        Some((size, name)) => format!("{}{name}", n / size),
        None if n >= 100_000 => format!("{}k", n / 1000),
        None => n.to_string(),
    }
}

/// A tick's number: `100`, `1k`, `10M`.
pub(super) fn tick(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        1000..1_000_000 => format!("{}k", n / 1000),
        _ => short(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_none_one_and_powers_of_ten_up_to_the_most() {
        let axis = TrapAxis::holding([17, 514].into_iter());
        assert_eq!(axis.ticks(10), [0, 1, 10, 100]);
        assert_eq!(TrapAxis::holding([].into_iter()).ticks(10), [0, 1, 10]);
        let wide = TrapAxis::holding([u64::MAX].into_iter());
        assert_eq!(wide.ticks(21).len(), 21);
        assert!(wide.ticks(6).len() <= 6, "{:?}", wide.ticks(6));
        assert_eq!(wide.ticks(0), [0, 1]);
    }

    #[test]
    fn a_decade_is_as_wide_as_another_and_none_is_apart_from_one() {
        let axis = TrapAxis::holding([1000].into_iter());
        let at = |n| axis.map(&n, (100, 1100));
        assert_eq!([at(0), at(1), at(1000)], [100, 180, 1100]);
        let decades = [at(10) - at(1), at(100) - at(10), at(1000) - at(100)];
        assert!(
            decades.iter().all(|d| (306..=307).contains(d)),
            "{decades:?}"
        );
        assert_eq!(at(u64::MAX), 1100, "beyond the end is at the end");
    }

    #[test]
    fn numbers_for_narrow_places() {
        let short = [514, 99_999, 100_000, 2_500_000, u64::MAX].map(short);
        assert_eq!(short, ["514", "99999", "100k", "2M", "18446744T"]);
        assert_eq!(
            [0, 100, 1000, 100_000, 1_000_000].map(tick),
            ["0", "100", "1k", "100k", "1M"]
        );
    }
}
