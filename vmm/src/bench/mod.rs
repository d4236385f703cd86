//! `xenlet bench`: this host's floors and our costs, each pair measured in one run, so that a
//! noisy host shifts both.

mod attribution;
mod bounded;
mod process;
mod queue;
mod round_trip;
pub mod rules;

pub use process::beyond_guest_kib;

use crate::config::{Backend, BenchConfig};
use crate::exit::Exit;
use crate::kvm::{Host as KvmHost, HostError, StartError};
use crate::measure::MeasureError;
use crate::progress::Progress;
use crate::report::Host;
use crate::report::bench::{BenchReport, Measure};
use thiserror::Error;

/// Why there is no bench.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The host cannot run it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A guest of the bench cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A kernel of the bench cannot be booted.
    #[error(transparent)]
    Kernel(#[from] MeasureError),
    /// This program could not be run again, or measured.
    #[error("cannot run this program for a measure")]
    Process(#[from] std::io::Error),
    /// A guest of the bench did something else.
    #[error("the bench's guest {0}")]
    Guest(String),
}

impl BenchError {
    /// How the process should end.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            BenchError::Host(_) | BenchError::Start(_) => Exit::Host,
            BenchError::Kernel(e) => e.exit(),
            BenchError::Process(_) => Exit::CheckFailed,
            BenchError::Guest(_) => Exit::GuestCrashed,
        }
    }
}

/// Measures everything the backend has.
///
/// # Errors
/// If the host cannot run a guest, or a guest misbehaves.
pub fn run(
    config: &BenchConfig,
    progress: &mut (dyn Progress + Send),
) -> Result<BenchReport, BenchError> {
    let mut host = Host::here();
    let mut measures = Vec::new();
    if config.backend == Backend::Kvm {
        progress.start(6);
        let kvm = KvmHost::open()?;
        host.strategies = kvm.probe.strategies();
        progress.cell("hypercall", "round trip");
        measures.push(round_trip::measure(&kvm)?);
        progress.cell("set_pte", "queued");
        measures.extend(queue::measure(&kvm)?);
        progress.cell("exec", "first output");
        measures.push(process::first_output()?);
        progress.cell("memory", "beyond guest RAM");
        measures.push(process::memory()?);
        progress.cell("lab", "default run");
        measures.push(process::default_lab("kvm", 20.0)?);
        progress.cell("measure", "attribution");
        match attribution::config() {
            Some(config) => measures.push(attribution::measure(&kvm, &config)?),
            None => progress.line("no Linux image is here: what attribution costs is not measured"),
        }
    }
    if config.backend == Backend::Direct {
        progress.start(2);
        progress.cell("lab", "default run");
        measures.push(process::default_lab("direct", 5.0)?);
    }
    progress.cell("rules", "without a CPU");
    measures.extend(rules::measure()?);
    measures.extend(bounded::measure()?);
    Ok(BenchReport::new(host, measures))
}

/// A measure from samples: median and interquartile range, beside the median of `floor`.
fn measure(
    name: &str,
    unit: &str,
    mut samples: Vec<f64>,
    floor: Option<Vec<f64>>,
    limit: f64,
) -> Measure {
    let (value, spread) = median_iqr(&mut samples);
    Measure {
        name: name.into(),
        unit: unit.into(),
        value,
        n: samples.len() as u64,
        spread,
        floor: floor.map(|mut floor| median_iqr(&mut floor).0),
        limit: Some(limit),
    }
}

fn median_iqr(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_unstable_by(f64::total_cmp);
    let at = |quarter: usize| {
        samples
            .get(samples.len() * quarter / 4)
            .copied()
            .unwrap_or(f64::NAN)
    };
    (at(2), at(3) - at(1))
}

#[cfg(test)]
mod tests {
    use super::median_iqr;

    #[test]
    fn quartiles_of_an_unsorted_list() {
        assert_eq!(median_iqr(&mut [4.0, 1.0, 3.0, 2.0]), (3.0, 2.0));
        assert!(median_iqr(&mut []).0.is_nan());
    }
}
