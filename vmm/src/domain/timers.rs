//! A vCPU's two timers: arithmetic on system time, no clock of its own.

/// A timer that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// ns between two expiries.
    pub period: u64,
    /// The next expiry.
    pub next: u64,
}

/// The timers of one vCPU, in ns of system time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    /// The periodic one.
    pub periodic: Option<Periodic>,
    /// The deadline of the one-shot one.
    pub singleshot: Option<u64>,
}

impl Timers {
    /// When the first of them expires.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let periodic = self.periodic.map(|p| p.next);
        periodic.into_iter().chain(self.singleshot).min()
    }

    /// Moves on to `now`: whether one of them expired. Periods missed are not made up for.
    pub fn expire(&mut self, now: u64) -> bool {
        let once = self.singleshot.take_if(|at| *at <= now).is_some();
        let Some(p) = &mut self.periodic else {
            return once;
        };
        if p.next > now {
            return once;
        }
        let missed = (now - p.next) / p.period;
        p.next = p.next.saturating_add((missed + 1).saturating_mul(p.period));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_periods_give_one_expiry() {
        let mut t = Timers {
            periodic: Some(Periodic {
                period: 10,
                next: 10,
            }),
            singleshot: Some(25),
        };
        assert_eq!(t.next(), Some(10));
        assert!(!t.expire(9));
        assert!(t.expire(35));
        assert_eq!((t.next(), t.singleshot), (Some(40), None));
        assert!(t.expire(40));
    }
}
