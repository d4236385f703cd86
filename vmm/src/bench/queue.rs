//! Queueing a page-table write in the guest, beside a plain store there.

use super::BenchError;
use crate::domain::{DomainConfig, Program};
use crate::image::Image;
use crate::kvm::{Ending, Host, Options};
use crate::lab::GUEST;
use crate::report::bench::Measure;
use hypercalls::sched::SHUTDOWN_POWEROFF;

const LIMIT_NS: f64 = 30.0;
const MEM_MIB: u64 = 32;

pub(super) fn measure(kvm: &Host) -> Result<[Measure; 2], BenchError> {
    let line = run(kvm)?;
    let ns_per_tick = 1e6 / f64::from(kvm.probe.tsc_khz.max(1));
    let row = |label: &str, key, limit| {
        let (rounds, [writes, low, median, high]) = numbers(&line, key)?;
        let ns = |ticks: f64| ticks / writes * ns_per_tick;
        Some(Measure {
            name: label.into(),
            unit: "ns".into(),
            value: ns(median),
            n: rounds,
            spread: ns(high - low),
            floor: None,
            limit,
        })
    };
    let queued = row("a PTE queued in the guest", "queued", Some(LIMIT_NS));
    let stored = row("a plain store in the guest", "stored", None);
    match (queued, stored) {
        (Some(queued), Some(stored)) => Ok([queued, stored]),
        _ => Err(BenchError::Guest(format!("printed {line:?}"))),
    }
}

/// How many rounds there were, and the four numbers after `key`: writes a round, quartiles.
fn numbers(line: &str, key: &str) -> Option<(u64, [f64; 4])> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| {
        words
            .iter()
            .skip_while(|w| **w != key)
            .skip(1)
            .copied()
            .collect::<Vec<_>>()
    };
    let rounds = after("rounds").first()?.parse().ok()?;
    let mut values = after(key).into_iter().map_while(|word| word.parse().ok());
    Some((
        rounds,
        [
            values.next()?,
            values.next()?,
            values.next()?,
            values.next()?,
        ],
    ))
}

/// The line the guest prints.
fn run(kvm: &Host) -> Result<String, BenchError> {
    let bad = |e: &dyn std::fmt::Display| BenchError::Guest(e.to_string());
    let image = Image::parse(GUEST.to_vec()).map_err(|e| bad(&e))?;
    let config = DomainConfig {
        mem_mib: MEM_MIB,
        cmdline: "bench=queue".into(),
        ..DomainConfig::default()
    };
    let machine = kvm.build(&Program::from(&image), &config)?;
    let mut outcome = machine.run(Options::default())?;
    match outcome.ending {
        Ending::Shutdown(SHUTDOWN_POWEROFF) => {}
        other => return Err(bad(&format!("ended with {other:?}"))),
    }
    let output = outcome.domain.console.take_output();
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn a_line_holds_two_rows() {
        let line = "bench: rounds 9 queued 30 1 2 3 stored 60 4 5 6";
        assert_eq!(numbers(line, "queued"), Some((9, [30.0, 1.0, 2.0, 3.0])));
        assert_eq!(numbers(line, "stored"), Some((9, [60.0, 4.0, 5.0, 6.0])));
        assert_eq!(numbers("bench: rounds 9 queued 30 1", "queued"), None);
    }
}
