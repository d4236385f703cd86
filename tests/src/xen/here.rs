//! The same image, or the same library, on our own hypervisor: on KVM and in one process.

use hypercalls::sched::SHUTDOWN_POWEROFF;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use xenlet::direct;
use xenlet::domain::{CellReport, DomainConfig, Program};
use xenlet::image::Image;
use xenlet::kvm::{Ending, Host, HostError, Options};
use xenlet::lab::GUEST;

/// What a run left.
#[derive(Debug, Default)]
pub struct Ran {
    /// The guest's console.
    pub console: String,
    /// The cells, counted by the hypervisor.
    pub cells: Vec<CellReport>,
}

/// A console that several may hold.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the embedded guest on KVM; its command line is the configuration's. `Err` is why this
/// host has no KVM, a reason to skip.
///
/// # Panics
/// If the guest does not end by itself.
pub fn on_kvm(config: &DomainConfig, time_limit: Duration) -> Result<Ran, HostError> {
    let host = Host::open()?;
    let image = Image::parse(GUEST.to_vec()).expect("the embedded guest is a PV image");
    let machine = host
        .build(&Program::from(&image), config)
        .expect("the guest fits");
    let tape = Tape::default();
    let options = Options {
        time_limit: Some(time_limit),
        output: Some(Box::new(tape.clone())),
        ..Options::default()
    };
    let outcome = machine
        .run(options)
        .expect("vCPUs and the event loop start");
    let console = tape.text();
    let ending = outcome.ending;
    assert!(
        matches!(ending, Ending::Shutdown(SHUTDOWN_POWEROFF)),
        "{ending:?}\n{console}"
    );
    let cells = outcome.domain.lab.cells;
    Ok(Ran { console, cells })
}

/// Runs the guest's library against the dispatch, without KVM.
///
/// # Panics
/// If the domain ends early.
#[must_use]
pub fn direct(config: &DomainConfig) -> Ran {
    let mut tape = Tape::default();
    let cells = direct::run(&config.cmdline, config, &mut tape).expect("runs to its end");
    let console = tape.text();
    Ran { console, cells }
}
