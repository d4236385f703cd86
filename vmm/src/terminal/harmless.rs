//! A guest's console on a terminal: what the guest writes goes through, but not what could harm
//! whoever sits there. Comes in: the guest's bytes, in pieces of any size. Goes out: the same, with
//! the rest shown as text: ESC as `^[`, others as `^X` or `\x9b`.
//!
//! A program may draw: colours, the cursor, the screen, line-drawing characters, the alternate
//! screen. It may ask where the cursor is and what the terminal can do: the answers' words are the
//! terminal's. It may not say what the terminal answers (ENQ, status strings, titles read back),
//! nor reach beyond the screen (title, clipboard, links, files, keys, printer, window: OSC, DCS,
//! APC, PM, SOS), nor make the mouse type. A list of what may pass: a sequence nobody thought of is
//! text. The terminal is taken to be one of UTF-8.

use std::io::{self, Write};

/// A sequence longer than this is text.
const LONGEST: usize = 32;
const ESC: u8 = 0x1b;

/// The final bytes of CSI sequences with only numbers before them that draw or ask.
const DRAWING: &[u8] = b"@ABCDEFGHIJKLMPSTXZ`abcdefgmnrsu";
/// Private modes that may be set and reset (`CSI ? n h`): cursor keys, origin, wrap, the cursor's
/// blink and the cursor, alternate screens, bracketed paste.
const MODES: [&[u8]; 10] = [
    b"1", b"6", b"7", b"12", b"25", b"47", b"1047", b"1048", b"1049", b"2004",
];

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// ESC was the last.
    Escape,
    /// ESC and bytes that say what kind: `(`, `#`, ...
    Intermediate,
    /// `ESC [` and what follows, kept until it is complete.
    Csi,
    /// Inside a character of so many more bytes, 0xc2 before them or not.
    Utf8(u8, bool),
}

/// A writer that lets through what is harmless.
#[derive(Debug)]
pub struct Harmless<W> {
    to: W,
    state: State,
    /// The sequence so far.
    held: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// Writes to `to`, a terminal.
    pub fn new(to: W) -> Harmless<W> {
        Harmless {
            to,
            state: State::Text,
            held: Vec::with_capacity(LONGEST),
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.state, byte) {
            (State::Text, _) => self.text(byte, out),
            (State::Utf8(left, c1), 0x80..=0xbf) => self.continued(left, c1, byte, out),
            // What is not complete ends here: nothing may hide in the midst of it.
            (State::Utf8(..), _) | (_, 0..0x20 | 0x7f..) => {
                self.give_up(out);
                self.text(byte, out);
            }
            (State::Escape, b'[') => self.hold(byte, State::Csi, out),
            (State::Escape | State::Intermediate, 0x20..=0x2f) => {
                self.hold(byte, State::Intermediate, out);
            }
            (State::Csi, 0x20..=0x3f) => self.hold(byte, State::Csi, out),
            _ => self.complete(byte, out),
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            ESC => self.hold(byte, State::Escape, out),
            0xc2..=0xdf => self.hold(byte, State::Utf8(1, byte == 0xc2), out),
            0xe0..=0xef => self.hold(byte, State::Utf8(2, false), out),
            0xf0..=0xf4 => self.hold(byte, State::Utf8(3, false), out),
            // NUL; BEL, BS, TAB, LF, VT, FF, CR, SO, SI.
            0 | 0x07..=0x0f | 0x20..=0x7e => out.push(byte),
            _ => show(byte, out),
        }
    }

    /// A character's next byte. U+0080 to U+009F are controls of eight bits, CSI and OSC among them.
    fn continued(&mut self, left: u8, c1: bool, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        if c1 && byte < 0xa0 {
            self.give_up(out);
        } else if left == 1 {
            out.append(&mut self.held);
            self.state = State::Text;
        } else {
            self.state = State::Utf8(left - 1, false);
        }
    }

    fn hold(&mut self, byte: u8, state: State, out: &mut Vec<u8>) {
        self.held.push(byte);
        self.state = state;
        if self.held.len() >= LONGEST {
            self.give_up(out);
        }
    }

    /// The sequence's last byte.
    fn complete(&mut self, last: u8, out: &mut Vec<u8>) {
        self.held.push(last);
        if is_harmless(&self.held) {
            out.append(&mut self.held);
            self.state = State::Text;
        } else {
            self.give_up(out);
        }
    }

    /// What is held is text.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        for byte in self.held.drain(..) {
            match byte {
                0x20..=0x7e => out.push(byte),
                _ => show(byte, out),
            }
        }
        self.state = State::Text;
    }
}

/// Whether a complete sequence only draws or asks.
fn is_harmless(sequence: &[u8]) -> bool {
    let numbers = |bytes: &[u8]| {
        let number = |b: &u8| b.is_ascii_digit() || matches!(b, b';' | b':');
        bytes.iter().all(number)
    };
    match sequence {
        [ESC, b'[', b'?', modes @ .., b'h' | b'l'] => modes
            .split(|&b| b == b';')
            .all(|mode| MODES.contains(&mode)),
        // Insert mode; soft reset; the cursor's shape; what kind of terminal this is.
        [ESC, b'[', b'4', b'h' | b'l'] | [ESC, b'[', b'!', b'p'] => true,
        [ESC, b'[', shape @ .., b' ', b'q'] => numbers(shape),
        [ESC, b'[', b'>', which @ .., b'c'] => numbers(which),
        [ESC, b'[', parameters @ .., last] => numbers(parameters) && DRAWING.contains(last),
        // Save and restore the cursor, index, next line, tab stop, reverse index, reset, keypad.
        [
            ESC,
            b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'c' | b'=' | b'>',
        ] => true,
        // Character sets.
        [
            ESC,
            b'(' | b')' | b'*' | b'+',
            b'0' | b'A' | b'B' | b'U' | b'K',
        ] => true,
        _ => false,
    }
}

/// Shows a byte that may not pass.
fn show(byte: u8, out: &mut Vec<u8>) {
    match byte {
        0..0x20 => out.extend([b'^', byte | 0x40]),
        0x7f => out.extend(b"^?"),
        _ => out.extend(format!("\\x{byte:02x}").bytes()),
    }
}

impl<W: Write> Write for Harmless<W> {
    /// Takes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len() + LONGEST);
        for &byte in bytes {
            self.byte(byte, &mut out);
        }
        self.to.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal gets of `bytes`, written in pieces of `size`.
    fn shown(bytes: &[u8], size: usize) -> String {
        let mut writer = Harmless::new(Vec::new());
        for piece in bytes.chunks(size) {
            writer.write_all(piece).expect("a vector");
        }
        String::from_utf8(writer.to).expect("only whole characters pass")
    }

    fn in_any_pieces(bytes: &[u8], expected: &str) {
        for size in 1..=bytes.len() {
            assert_eq!(shown(bytes, size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_programs_draw_with_passes() {
        for text in [
            "plain\r\n\ttext\x07\x08",
            "\x1b[1;31mred\x1b[0m",
            "\x1b[38:2::1:2:3m",
            "\x1b[2J\x1b[H\x1b[10;20f\x1b[K",
            "\x1b[?1049h\x1b[?25l\x1b[?1;25h\x1b[?2004h",
            "\x1b(0lqk\x1b(B\x1b7\x1b8\x1b[6n\x1b[c\x1b[>0c\x1b[2 q\x1b[!p",
            "grün, 漢字, 🐧",
        ] {
            in_any_pieces(text.as_bytes(), text);
        }
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_text() {
        for (bytes, expected) in [
            (&b"\x1b]0;title\x07"[..], "^[]0;title\x07"),
            (b"\x1b]52;c;Y3VybA==\x1b\\", "^[]52;c;Y3VybA==^[\\"),
            (b"\x1bP$qm\x1b\\", "^[P$qm^[\\"),
            (b"\x1b_app\x1b\\\x1b^pm\x1bXsos", "^[_app^[\\^[^pm^[Xsos"),
            (b"\x1b[21t\x1b[8;9;9t", "^[[21t^[[8;9;9t"),
            (
                b"\x1b[5i\x1b[?1000h\x1b[?25;1000h",
                "^[[5i^[[?1000h^[[?25;1000h",
            ),
            (b"\x1b[>4;2m\x1b[?6n\x1bZ", "^[[>4;2m^[[?6n^[Z"),
            (b"\x05\x01\x7f", "^E^A^?"),
            (b"\x9b5i\x9d0;t\x9c", "\\x9b5i\\x9d0;t\\x9c"),
            (b"\xc2\x9b5i\xc2\xa0", "\\xc2\\x9b5i\u{a0}"),
        ] {
            in_any_pieces(bytes, expected);
        }
    }

    #[test]
    fn nothing_hides_in_what_is_not_complete() {
        in_any_pieces(b"\x1b[\x1b]0;t\x07", "^[[^[]0;t\x07");
        in_any_pieces(b"\xe6\xbc\x1b]0;t\x07", "\\xe6\\xbc^[]0;t\x07");
        in_any_pieces(b"\x1b(\x9b", "^[(\\x9b");
        let long = [b"\x1b[", &[b'1'; 100][..], b"m"].concat();
        assert!(shown(&long, 7).starts_with("^[[111"));
    }
}
