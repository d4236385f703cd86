//! What telling which operation traps, and from where, costs the guest: one kernel and initramfs,
//! booted with the attribution and without, in turns.

use super::{BenchError, measure as of};
use crate::attribution::Attribution;
use crate::boot::ended;
use crate::config::{BootConfig, Initrd, MeasureConfig};
use crate::image::Image;
use crate::images::{Cache, recipes};
use crate::kvm::{Host, Options};
use crate::measure::{self, MeasureError};
use crate::report::bench::Measure;
use crate::report::boot::Ended;
use crate::symbols::{Orc, Unwinder};
use std::time::{Duration, Instant};

/// Pairs of boots, if there is time for as many.
const SAMPLES: usize = 5;
/// No pair begins that would not be over by then: with a pair like the last it is within a minute.
const TIME: Duration = Duration::from_secs(55);
/// One boot takes seconds.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The most that it may cost of a boot's time, the operations included.
const LIMIT: f64 = 1.05;
/// Operations that trap for every page, whatever the kernel.
const OPERATIONS: [&str; 2] = ["munmap", "fault_around"];

/// How a Linux image that was fetched is booted.
pub(super) fn config() -> Option<MeasureConfig> {
    let cache = Cache::of_user().ok()?;
    let mut linux = recipes().into_iter().filter(|recipe| recipe.initramfs);
    let found = linux.find_map(|recipe| Some((cache.get(&recipe.name)?.file, recipe)));
    let (kernel, recipe) = found?;
    Some(MeasureConfig {
        boot: BootConfig {
            kernel,
            image: Some(recipe.name),
            initrd: Initrd::None,
            cmdline: recipe.cmdline,
            mem_mib: recipe.mem_mib,
            cpus: 1,
            time_limit_s: None,
            verbose: false,
            paranoid: false,
            poison: false,
        },
        operations: OPERATIONS.map(str::to_owned).to_vec(),
        depths: vec![0],
        repeat: 1,
        symbols: None,
        trace: false,
        sites: true,
    })
}

/// Seconds from the first instruction to power-off, with beside without.
pub(super) fn measure(kvm: &Host, config: &MeasureConfig) -> Result<Measure, BenchError> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while with.len() < SAMPLES {
        let pair = Instant::now();
        // Each is first in its turn.
        let first = with.len() % 2 == 0;
        for attributed in [first, !first] {
            let samples = if attributed { &mut with } else { &mut without };
            samples.push(boot(kvm, config, attributed)?);
        }
        if start.elapsed() + pair.elapsed() > TIME {
            break;
        }
    }
    let name = "boot of Linux, attributed";
    Ok(of(name, "s", with, Some(without), LIMIT))
}

fn boot(kvm: &Host, config: &MeasureConfig, attributed: bool) -> Result<f64, BenchError> {
    let image = Image::open(&config.boot.kernel).map_err(|e| MeasureError::Boot(e.into()))?;
    let mut machine = measure::machine(kvm, config, &image)?;
    if attributed {
        let unwinder = Orc::find(&image).map(Unwinder::new);
        machine = machine.measured_by(Attribution::new(unwinder, false));
    }
    let start = Instant::now();
    let outcome = machine.run(Options {
        time_limit: Some(TIME_LIMIT),
        ..Options::default()
    })?;
    let took = start.elapsed().as_secs_f64();
    let samples = outcome.domain.attribution.samples.len();
    match ended(outcome.ending) {
        (Ended::Poweroff, _) if attributed == (samples > 0) => Ok(took),
        (Ended::Poweroff, _) => Err(BenchError::Guest(format!("left {samples} samples"))),
        (_, why) => Err(BenchError::Guest(format!("did not power off: {why}"))),
    }
}
