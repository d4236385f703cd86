//! The floor: what leaving the guest costs this host when nobody does anything about it. A guest
//! that makes the same exit again and again, and a bare loop of `KVM_RUN`.

use super::install::Entry;
use super::open::HostError;
use super::probe::{Probe, Trial};
use kvm_ioctls::Kvm;
use std::time::Instant;

/// `syscall; jmp .-2`
const PROGRAM: [u8; 4] = [0x0f, 0x05, 0xeb, 0xfc];
/// After the doorbell: `jmp *%rcx`, so that nobody need set rip.
const BACK: [u8; 2] = [0xff, 0xe1];

/// Nanoseconds of each of `samples` runs of `exits` exits in a bare loop, divided by `exits`.
///
/// # Errors
/// If KVM refuses something, or the guest does something else.
pub fn bare_exits(
    kvm: &Kvm,
    probe: &Probe,
    samples: usize,
    exits: u32,
) -> Result<Vec<f64>, HostError> {
    let mut trial = Trial::with_entry(kvm, probe.entry())?;
    trial.write_program(&PROGRAM)?;
    if probe.entry() == Entry::Cpl3 {
        trial.extend_entry(super::stubs::ENTRY_CPL3.len() as u64, &BACK)?;
    }
    trial.begin();
    trial.bare(exits)?;
    (0..samples)
        .map(|_| {
            let start = Instant::now();
            trial.bare(exits)?;
            Ok(start.elapsed().as_nanos() as f64 / f64::from(exits))
        })
        .collect()
}
