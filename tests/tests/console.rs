//! The guest's console: on a terminal, whose settings come back whichever way the run ends, and on
//! pipes and files, of which nothing is lost.

use hypercalls::Nr;
use hypercalls::console::{CONSOLEIO_READ, CONSOLEIO_WRITE};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::asm::Asm;
use tests::asm::Reg::*;
use tests::binary::xenlet;
use tests::elf::{BASE, Elf, PADDR};
use tests::pty::OnTerminal;
use tests::runner::{Check, Checked, main as run};
use tests::runs::kvm;
use tests::scratch::Scratch;

/// Ample on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// The guest's buffer, and its size.
const BUFFER: u64 = BASE + PADDR + 0x4000;
const SIZE: u64 = 0x1000;
/// More than the console keeps for a guest that does not read yet, many times.
const BULK: usize = 300_000;

fn main() -> ExitCode {
    run(vec![
        Check::new("settings_come_back", settings_come_back),
        Check::new("keys", keys),
        Check::new("lines_start_at_the_left", lines_start_at_the_left),
        Check::new("a_pipe_waits", a_pipe_waits),
        Check::new("a_file_is_read_whole", a_file_is_read_whole),
    ])
}

fn kernel(dir: &Scratch, code: impl FnOnce(&mut Asm)) -> String {
    let elf = Elf::kernel(code).load(|l| l.mem_size = 0x8000);
    dir.file("k", &elf.bytes())
}

/// Writes what it reads, for ever.
fn echo(a: &mut Asm) {
    let again = a.mark();
    a.hypercall(Nr::ConsoleIo, &[CONSOLEIO_READ.into(), SIZE, BUFFER]);
    a.copy(Rsi, Rax)
        .mov(Rdi, CONSOLEIO_WRITE.into())
        .mov(Rdx, BUFFER)
        .mov(Rax, Nr::ConsoleIo as u64)
        .syscall()
        .jmp(again);
}

fn boot<'a>(kernel: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["boot", "--mem-mib", "8", "--kernel", kernel], more].concat()
}

fn on_terminal(kernel: &str, more: &[&str]) -> OnTerminal {
    OnTerminal::start(xenlet(), &boot(kernel, more))
}

/// Waits for raw mode.
#[track_caller]
fn is_raw(terminal: &OnTerminal) {
    let raw = terminal.waits(LIMIT, |t| !t.is_as_before());
    assert!(raw, "{}", String::from_utf8_lossy(&terminal.screen()));
}

/// It ends with `code`, and the terminal is as it was.
#[track_caller]
fn comes_back(mut terminal: OnTerminal, code: i32, how: &str) {
    let ended = terminal.ends(LIMIT).and_then(|status| status.code());
    let screen = terminal.screen();
    let screen = String::from_utf8_lossy(&screen);
    assert_eq!(ended, Some(code), "{how}: {screen}");
    assert!(terminal.is_as_before(), "{how} left the terminal raw");
}

fn settings_come_back() -> Checked {
    kvm()?;
    let dirs = [(); 3].map(|()| Scratch::new());
    let off = kernel(&dirs[0], |a| {
        a.power_off();
    });
    let crash = kernel(&dirs[1], |a| {
        a.bytes(&[0x0f, 0x0b]);
    });
    let spin = kernel(&dirs[2], |a| {
        a.spin();
    });
    comes_back(on_terminal(&off, &[]), 0, "power off");
    comes_back(on_terminal(&crash, &[]), 4, "a crash");
    comes_back(on_terminal(&spin, &["--time-limit", "1"]), 5, "the limit");
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let terminal = on_terminal(&spin, &[]);
        is_raw(&terminal);
        send(signal, terminal.id());
        comes_back(terminal, 0, signal);
    }
    let mut terminal = on_terminal(&spin, &["--cpus", "2"]);
    is_raw(&terminal);
    terminal.press(b"\x01x");
    comes_back(terminal, 0, "Ctrl-A x");
    Ok(())
}

fn send(signal: &str, id: u32) {
    let sent = Command::new("kill")
        .args(["-s", signal, &id.to_string()])
        .status();
    assert!(sent.is_ok_and(|s| s.success()), "kill -s {signal}");
}

/// Every key is the guest's and shown by nobody else, Ctrl-C among them; those after Ctrl-A not.
fn keys() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let kernel = kernel(&dir, echo);
    let mut terminal = on_terminal(&kernel, &[]);
    is_raw(&terminal);
    terminal.press(b"<ab\x03\r\x01\x01\x01hx>");
    let shown = |t: &OnTerminal| count(&t.screen(), b"x>") == 1;
    let came = terminal.waits(LIMIT, shown);
    let screen = terminal.screen();
    let text = String::from_utf8_lossy(&screen).into_owned();
    assert!(came, "{text:?}");
    // The guest writes them as they came; the terminal gets what cannot harm it.
    assert_eq!(count(&screen, b"<ab^C\r^A"), 1, "{text:?}");
    assert_eq!(count(&screen, b"Ctrl-A x ends"), 1, "{text:?}");
    terminal.press(b"\x01");
    terminal.press(b"x");
    comes_back(terminal, 0, "Ctrl-A x");
    Ok(())
}

fn count(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len()).filter(|w| *w == part).count()
}

/// A guest may end its lines with nothing but a line feed.
fn lines_start_at_the_left() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let hello = Elf::kernel(|a| {
        a.hypercall(Nr::ConsoleIo, &[0, 8, BASE + PADDR + 0x3000])
            .power_off();
    });
    let hello = hello.load(|l| {
        l.data.resize(0x3000, 0);
        l.data.extend(b"one\ntwo\n");
    });
    let kernel = dir.file("k", &hello.bytes());
    let terminal = on_terminal(&kernel, &[]);
    let shown = terminal.waits(LIMIT, |t| count(&t.screen(), b"one\r\ntwo\r\n") == 1);
    assert!(shown, "{:?}", String::from_utf8_lossy(&terminal.screen()));
    comes_back(terminal, 0, "power off");
    Ok(())
}

/// All byte values: none is special where there is no terminal.
fn bulk() -> Vec<u8> {
    (0..BULK).map(|at| (at * 31 + at / 256) as u8).collect()
}

/// A guest that begins to read long after everything is there to be read.
fn late_echo(dir: &Scratch) -> String {
    kernel(dir, |a| {
        a.mov(Rbx, 500_000_000);
        let wait = a.mark();
        a.dec(Rbx).jnz(wait);
        echo(a);
    })
}

fn start(kernel: &str, stdin: Stdio) -> Child {
    let mut command = Command::new(xenlet());
    command.args(boot(kernel, &[])).stdin(stdin);
    let child = command.stdout(Stdio::piped()).spawn();
    child.expect("it was built")
}

/// Reads as much as was written, and ends the guest.
#[track_caller]
fn comes_out(mut child: Child, sent: &[u8]) {
    let (id, started) = (child.id(), Instant::now());
    let mut stdout = child.stdout.take().expect("a pipe");
    let length = sent.len();
    let reading = thread::spawn(move || {
        let mut back = vec![0; length];
        stdout.read_exact(&mut back).map(|()| (back, stdout))
    });
    while !reading.is_finished() && started.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(10));
    }
    send("TERM", id);
    let (back, _stdout) = reading.join().expect("it only reads").expect("all of it");
    assert!(back == sent, "other bytes came out");
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
}

fn a_pipe_waits() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let mut child = start(&late_echo(&dir), Stdio::piped());
    let mut stdin = child.stdin.take().expect("a pipe");
    let sent = bulk();
    let bytes = sent.clone();
    let writing = thread::spawn(move || stdin.write_all(&bytes));
    comes_out(child, &sent);
    writing.join().expect("it only writes").expect("taken");
    Ok(())
}

fn a_file_is_read_whole() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let sent = bulk();
    let file = File::open(dir.file("input", &sent)).expect("just written");
    let child = start(&late_echo(&dir), file.into());
    comes_out(child, &sent);
    Ok(())
}
