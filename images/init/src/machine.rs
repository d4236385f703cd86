//! The guest as process 1 finds it and leaves it: file systems mounted, power off.

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::RebootMode;
use nix::unistd::sync;
use std::convert::Infallible;
use std::fmt;
use std::fs;

/// What is mounted: the type, and where.
const MOUNTS: [(&str, &str); 5] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

/// The guest cannot be made ready.
#[derive(Debug)]
pub struct NotReady {
    mount: &'static str,
    source: nix::Error,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot mount {}: {}", self.mount, self.source)
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Mounts what programs expect.
///
/// # Errors
/// If Linux refuses a mount.
pub fn ready() -> Result<(), NotReady> {
    for (kind, at) in MOUNTS {
        // Where it is there already the mount will say whether it will do.
        let _ = fs::create_dir(at);
        let flags = MsFlags::empty();
        mount(Some(kind), at, Some(kind), flags, None::<&str>)
            .map_err(|source| NotReady { mount: at, source })?;
    }
    Ok(())
}

/// Ends the guest.
pub fn power_off() -> Infallible {
    end(RebootMode::RB_POWER_OFF)
}

/// Ends the guest, which wants to begin anew.
pub(crate) fn reboot() {
    end(RebootMode::RB_AUTOBOOT);
}

fn end(how: RebootMode) -> Infallible {
    sync();
    match nix::sys::reboot::reboot(how) {
        Ok(never) => never,
        // Linux panics as process 1 ends: nobody waits for a guest that cannot end.
        Err(e) => panic!("{how:?}: {e}"),
    }
}
