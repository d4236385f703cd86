//! Where the guest's typing comes from: stdin, a terminal or not.
//!
//! Comes in: bytes, as many as the console has room for; the rest stays where it is, so that
//! nothing is lost. From a terminal everything is taken at once, for the keys that are ours: after
//! Ctrl-A, `x` ends the guest, `h` says so, Ctrl-A is itself.

use super::shared::{Ending, Shared};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The key that starts ours: Ctrl-A.
const ESCAPE: u8 = 1;
/// Bytes read at once.
const PIECE: usize = 4096;
/// What is said at Ctrl-A h.
const HELP: &str = "\nxenlet: Ctrl-A x ends the guest, Ctrl-A Ctrl-A sends Ctrl-A, \
                    Ctrl-A h shows this\n";

/// What became of a look at the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There may be more.
    More,
    /// The console has no room; it will say when it has.
    Full,
    /// There will be no more.
    End,
}

/// Stdin as the guest's keyboard.
#[derive(Debug)]
pub(super) struct Input {
    stdin: File,
    keys: Option<Keys>,
}

impl Input {
    /// # Errors
    /// If stdin is closed.
    pub(super) fn of_stdin() -> io::Result<Input> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let keys = stdin.is_terminal().then(Keys::default);
        // Unbuffered: what a buffer held back, nobody would be told of.
        let stdin = File::from(stdin);
        Ok(Input { stdin, keys })
    }

    /// Readable when there is something to take.
    pub(super) fn fd(&self) -> RawFd {
        self.stdin.as_raw_fd()
    }

    /// The terminal, if it is one.
    pub(super) fn terminal(&self) -> Option<io::Result<OwnedFd>> {
        let clone = || self.stdin.as_fd().try_clone_to_owned();
        self.keys.is_some().then(clone)
    }

    /// Types what is there.
    pub(super) fn take(&mut self, shared: &Shared<'_>) -> Taken {
        let room = match self.keys {
            Some(_) => PIECE,
            None => shared.lock().console.claim_room().min(PIECE),
        };
        if room == 0 {
            return Taken::Full;
        }
        let mut bytes = [0; PIECE];
        let read = match self.stdin.read(&mut bytes[..room]) {
            Ok(0) => return Taken::End,
            Ok(n) => &bytes[..n],
            Err(e) if is_passing(&e) => return Taken::More,
            Err(_) => return Taken::End,
        };
        let typed = match &mut self.keys {
            Some(keys) => keys.typed(read, shared),
            None => read.to_vec(),
        };
        type_in(shared, &typed);
        Taken::More
    }
}

fn is_passing(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

fn type_in(shared: &Shared<'_>, bytes: &[u8]) {
    let mut domain = shared.lock();
    domain.type_in(bytes);
    let kicks = domain.kicks();
    drop(domain);
    shared.kick_mask(kicks, usize::MAX);
}

/// What has been typed so far: whether the last key was Ctrl-A.
#[derive(Debug, Default)]
struct Keys {
    escaped: bool,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Guest(u8),
    Quit,
    Help,
    Nothing,
}

impl Keys {
    fn key(&mut self, byte: u8) -> Key {
        let escaped = std::mem::replace(&mut self.escaped, false);
        match (escaped, byte) {
            (false, ESCAPE) => {
                self.escaped = true;
                Key::Nothing
            }
            (false, byte) | (true, byte @ ESCAPE) => Key::Guest(byte),
            (true, b'x' | b'X') => Key::Quit,
            (true, b'h' | b'H' | b'?') => Key::Help,
            (true, _) => Key::Nothing,
        }
    }

    /// Does what our keys say; the guest's.
    fn typed(&mut self, bytes: &[u8], shared: &Shared<'_>) -> Vec<u8> {
        let mut guests = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match self.key(byte) {
                Key::Guest(byte) => guests.push(byte),
                Key::Quit => shared.end(Ending::Quit),
                Key::Help => say(HELP),
                Key::Nothing => {}
            }
        }
        guests
    }
}

/// To the person at the terminal, who may have sent stderr elsewhere.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_begins_our_keys_and_everything_else_is_the_guests() {
        let mut keys = Keys::default();
        let mut all = |bytes: &[u8]| bytes.iter().map(|b| keys.key(*b)).collect::<Vec<_>>();
        assert_eq!(all(b"x\x03"), [Key::Guest(b'x'), Key::Guest(3)]);
        assert_eq!(
            all(b"\x01\x01x"),
            [Key::Nothing, Key::Guest(1), Key::Guest(b'x')]
        );
        assert_eq!(
            all(b"\x01h\x01qh"),
            [
                Key::Nothing,
                Key::Help,
                Key::Nothing,
                Key::Nothing,
                Key::Guest(b'h')
            ]
        );
        assert_eq!(all(b"\x01"), [Key::Nothing]);
        assert_eq!(all(b"x"), [Key::Quit]);
    }
}
