//! The guest's time: system time in ns since boot, the scale that turns the guest's TSC into it,
//! and the wall clock at boot.
//!
//! Comes in: the TSC's frequency, and (TSC, system time) pairs from the host. Goes out: the
//! numbers of `VcpuTimeInfo`, so that what a guest computes from `rdtsc` agrees with us.

use hypercalls::shared_info::VcpuTimeInfo;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where `now` comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Host(Instant),
    /// The TSC that the guest has too, and what it read at system time 0.
    Counter(fn() -> u64, u64),
    Manual(u64),
}

/// The clock of a domain.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    tsc_khz: u32,
    wall_at_boot: Duration,
}

impl Clock {
    /// System time 0 is now; the TSC runs at `tsc_khz` (0 counts as 1 GHz).
    #[must_use]
    pub fn new(tsc_khz: u32) -> Clock {
        Clock {
            source: Source::Host(Instant::now()),
            tsc_khz: if tsc_khz == 0 { 1_000_000 } else { tsc_khz },
            wall_at_boot: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// System time 0 is now, told by the counter that the guest reads too: what it computes from
    /// its records is what [`Clock::now`] says, for ever.
    #[must_use]
    pub fn counting(tsc_khz: u32, read: fn() -> u64) -> Clock {
        Clock {
            source: Source::Counter(read, read()),
            ..Clock::new(tsc_khz)
        }
    }

    /// What the guest's TSC reads at system time 0, where that is known.
    #[must_use]
    pub fn origin(&self) -> Option<u64> {
        match self.source {
            Source::Counter(_, origin) => Some(origin),
            _ => None,
        }
    }

    /// A clock that moves only by [`Clock::set`].
    #[must_use]
    pub fn manual() -> Clock {
        Clock {
            source: Source::Manual(0),
            ..Clock::new(0)
        }
    }

    /// Moves a manual clock to `now`; a host clock stays as it is.
    pub fn set(&mut self, now: u64) {
        if let Source::Manual(at) = &mut self.source {
            *at = now;
        }
    }

    /// System time in ns.
    #[must_use]
    pub fn now(&self) -> u64 {
        match self.source {
            Source::Host(boot) => u64::try_from(boot.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Source::Counter(read, origin) => ns(scale(self.tsc_khz), read().saturating_sub(origin)),
            Source::Manual(at) => at,
        }
    }

    /// The TSC's frequency in kHz.
    #[must_use]
    pub fn tsc_khz(&self) -> u32 {
        self.tsc_khz
    }

    /// The wall clock at system time 0, since 1970.
    #[must_use]
    pub fn wall_at_boot(&self) -> Duration {
        self.wall_at_boot
    }

    /// The time record that follows the one of `version`: at the moment the TSC read `tsc` it
    /// was `now`. The version is even: the record is whole.
    #[must_use]
    pub fn stamp(&self, version: u32, tsc: u64, now: u64) -> VcpuTimeInfo {
        let (mul, shift) = scale(self.tsc_khz);
        VcpuTimeInfo {
            version: (version | 1).wrapping_add(1),
            tsc_timestamp: tsc,
            system_time: now,
            tsc_to_system_mul: mul,
            tsc_shift: shift,
            flags: 1,
            ..VcpuTimeInfo::default()
        }
    }
}

/// The factor (0.32 fixed point) and shift that turn ticks of `khz` into ns. The factor's highest
/// bit is set: no precision is given away.
fn scale(khz: u32) -> (u32, i8) {
    // ns a tick = 10^6 / khz, as a fraction of 2^32, shifted into [2^31, 2^32).
    let mut factor = (1_000_000u128 << 64) / u128::from(khz.max(1));
    let mut shift = 0i8;
    while factor >= 1 << 64 {
        factor >>= 1;
        shift += 1;
    }
    while factor < 1 << 63 {
        factor <<= 1;
        shift -= 1;
    }
    ((factor >> 32) as u32, shift)
}

/// Ticks in ns, computed as a guest does.
fn ns((mul, shift): (u32, i8), ticks: u64) -> u64 {
    let ticks = u128::from(ticks);
    let shifted = match shift {
        s if s >= 0 => ticks << s,
        s => ticks >> -s,
    };
    ((shifted * u128::from(mul)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_clock_says_what_the_guest_computes() {
        let clock = Clock::counting(2_000_000, || 1000);
        let t = clock.stamp(0, clock.origin().expect("counting"), 0);
        assert_eq!((t.tsc_timestamp, t.system_time, clock.now()), (1000, 0, 0));
        let later = Clock {
            source: Source::Counter(|| 21_000, 1000),
            ..clock
        };
        let guest = ns((t.tsc_to_system_mul, t.tsc_shift), 20_000);
        assert_eq!((later.now(), guest), (10_000, 10_000));
    }

    #[test]
    fn a_guest_computes_our_time_from_its_tsc() {
        for khz in [100_000, 999_999, 1_000_000, 2_394_461, 5_000_000] {
            let mut clock = Clock::manual();
            clock.tsc_khz = khz;
            let t = clock.stamp(3, 1000, 77);
            assert_eq!(t.version, 4);
            let hour = u64::from(khz) * 1000 * 3600;
            let elapsed = ns((t.tsc_to_system_mul, t.tsc_shift), hour);
            let error = elapsed.abs_diff(3600 * 1_000_000_000);
            assert!(error < 10_000, "{khz} kHz: {error} ns an hour off");
        }
    }

    #[test]
    fn versions_go_on_even_after_an_odd_one() {
        let clock = Clock::manual();
        assert_eq!(clock.stamp(4, 0, 0).version, 6);
        assert_eq!(clock.stamp(u32::MAX, 0, 0).version, 0);
    }
}
