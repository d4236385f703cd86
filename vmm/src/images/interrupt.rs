//! Ctrl-C during a fetch: what was begun is undone, instead of left behind.

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether a signal came, and whether nobody would look.
#[derive(Default)]
struct Flags {
    interrupted: Arc<AtomicBool>,
    idle: Arc<AtomicBool>,
}

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// While this lives, terminating signals are noted and the process stays.
pub(super) struct Interrupt {
    flags: &'static Flags,
}

impl Interrupt {
    pub(super) fn watch() -> io::Result<Interrupt> {
        if FLAGS.get().is_none() {
            let flags = Flags::default();
            for signal in TERM_SIGNALS {
                let (idle, interrupted) = (flags.idle.clone(), flags.interrupted.clone());
                flag::register_conditional_default(*signal, idle)?;
                flag::register(*signal, interrupted)?;
            }
            // Registered twice at worst, if two threads came here at once; that is harmless.
            let _ = FLAGS.set(flags);
        }
        let flags = FLAGS.get_or_init(Flags::default);
        flags.idle.store(false, Ordering::SeqCst);
        Ok(Interrupt { flags })
    }

    pub(super) fn came(&self) -> bool {
        self.flags.interrupted.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.flags.idle.store(true, Ordering::SeqCst);
    }
}
