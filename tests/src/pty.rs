//! A pseudo terminal and a program on it, for what only happens on terminals.
//!
//! In: a program's arguments. Out: what the terminal showed, keys pressed, and its settings.

use nix::pty::openpty;
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A program with a terminal for its stdin, stdout and stderr.
#[derive(Debug)]
pub struct OnTerminal {
    child: Child,
    keyboard: File,
    /// Kept open: the settings outlive the program, and reading the screen does not fail.
    terminal: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    before: Termios,
}

impl OnTerminal {
    /// Starts it.
    ///
    /// # Panics
    /// If there is no pseudo terminal, or no such program.
    #[must_use]
    pub fn start(program: &Path, args: &[&str]) -> OnTerminal {
        let pty = openpty(None, None).expect("a pseudo terminal");
        let before = tcgetattr(&pty.slave).expect("a terminal");
        let end = || pty.slave.try_clone().expect("a descriptor");
        let child = Command::new(program)
            .args(args)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let screen = Arc::default();
        let keyboard = File::from(pty.master);
        watch(keyboard.try_clone().expect("a descriptor"), &screen);
        OnTerminal {
            child,
            keyboard,
            terminal: pty.slave,
            screen,
            before,
        }
    }

    /// The program's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Presses keys.
    ///
    /// # Panics
    /// If the terminal has gone.
    pub fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("a terminal");
    }

    /// What has been shown so far.
    #[must_use]
    pub fn screen(&self) -> Vec<u8> {
        let screen = self.screen.lock();
        screen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the settings are what they were before the program.
    ///
    /// # Panics
    /// If the terminal has gone.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        tcgetattr(&self.terminal).expect("a terminal") == self.before
    }

    /// Waits until `seen`; whether it was, in time.
    pub fn waits(&self, within: Duration, seen: impl Fn(&OnTerminal) -> bool) -> bool {
        let start = Instant::now();
        while !seen(self) {
            if start.elapsed() > within {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Waits for the program's end; none if it goes on.
    ///
    /// # Panics
    /// If it is not ours.
    pub fn ends(&mut self, within: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait().expect("our own child");
            if ended.is_some() || start.elapsed() > within {
                return ended;
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the screen until the terminal has gone.
fn watch(mut master: File, screen: &Arc<Mutex<Vec<u8>>>) {
    let screen = Arc::clone(screen);
    thread::spawn(move || -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let n = master.read(&mut bytes)?;
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            screen.extend(&bytes[..n]);
        }
    });
}
