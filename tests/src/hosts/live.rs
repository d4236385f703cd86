//! What a signal must not leave behind: emulators that run, directories of a run.
//!
//! In: each as it comes and as it goes. SIGINT, SIGTERM and the like kill and remove what there is,
//! and then do what they do by default.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// A child that several may hold.
pub(super) type Shared = Arc<Mutex<Child>>;

#[derive(Debug)]
struct Live {
    children: Vec<Shared>,
    directories: Vec<PathBuf>,
}

static LIVE: Mutex<Live> = Mutex::new(Live {
    children: Vec::new(),
    directories: Vec::new(),
});

/// A child's process, whoever else holds it.
pub(super) fn child(shared: &Shared) -> MutexGuard<'_, Child> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `make` so that no signal comes between the directory and its being known.
pub(super) fn directory<E>(make: impl FnOnce() -> Result<PathBuf, E>) -> Result<PathBuf, E> {
    let mut live = live();
    let path = make()?;
    live.directories.push(path.clone());
    Ok(path)
}

pub(super) fn forget_directory(path: &Path) {
    live().directories.retain(|other| other != path);
}

/// Runs `start` so that no signal comes between the process and its being known.
pub(super) fn started<E>(start: impl FnOnce() -> Result<Child, E>) -> Result<Shared, E> {
    let mut live = live();
    let shared = Arc::new(Mutex::new(start()?));
    live.children.push(shared.clone());
    Ok(shared)
}

pub(super) fn forget_child(shared: &Shared) {
    live().children.retain(|other| !Arc::ptr_eq(other, shared));
}

/// What lives; whoever asks has the signals watched from then on.
fn live() -> MutexGuard<'static, Live> {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| match Signals::new(TERM_SIGNALS) {
        Ok(signals) => drop(thread::spawn(move || on_signal(signals))),
        Err(why) => eprintln!("signals will leave directories behind: {why}"),
    });
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock is kept to the end: nothing new comes to life while all of it goes.
fn on_signal(mut signals: Signals) {
    let Some(signal) = signals.forever().next() else {
        return;
    };
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    for shared in &live.children {
        // Both fail only where the process is gone already.
        let _ = child(shared).kill();
        let _ = child(shared).wait();
    }
    for path in &live.directories {
        // There is nobody left to tell.
        let _ = std::fs::remove_dir_all(path);
    }
    let _ = emulate_default_handler(signal);
}
