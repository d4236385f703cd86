//! Unix sockets: connections by path, bulk both ways at once, datagrams, and the end of the other
//! side seen.

use super::outcome::{Outcome, ensure, failed};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::{env, fs, process, thread};

const CONNECTIONS: usize = 20;
const BULK: usize = 1 << 20;
const DATAGRAMS: u32 = 500;

/// All of it.
pub(super) fn check() -> Outcome {
    connect()?;
    echo()?;
    datagrams()
}

fn connect() -> Outcome {
    let path = env::temp_dir().join(format!("battery.{}", process::id()));
    let listener = UnixListener::bind(&path)?;
    let server = thread::spawn(move || -> io::Result<()> {
        for _ in 0..CONNECTIONS {
            let (mut client, _) = listener.accept()?;
            let mut asked = String::new();
            client.read_to_string(&mut asked)?;
            client.write_all(asked.to_uppercase().as_bytes())?;
        }
        Ok(())
    });
    let answers = (0..CONNECTIONS).try_for_each(|number| {
        let mut stream = UnixStream::connect(&path)?;
        stream.write_all(format!("hello {number}").as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure(answer == format!("HELLO {number}"), || {
            format!("connection {number} answered {answer:?}")
        })
    });
    fs::remove_file(&path)?;
    answers?;
    server.join().map_err(|_| failed("the server panicked"))??;
    Ok(())
}

/// A thread sends back what it is sent, while a second reads that.
fn echo() -> Outcome {
    let (near, far) = UnixStream::pair()?;
    let echoing = thread::spawn(move || -> io::Result<u64> {
        let copied = io::copy(&mut &far, &mut &far)?;
        far.shutdown(Shutdown::Both)?;
        Ok(copied)
    });
    let sent: Vec<u8> = (0..BULK).map(|at| (at * 7 + at / 4093) as u8).collect();
    let mut reader = near.try_clone()?;
    let reading = thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).map(|_| back)
    });
    (&near).write_all(&sent)?;
    near.shutdown(Shutdown::Write)?;
    let panicked = |_| failed("a thread panicked");
    let back = reading.join().map_err(panicked)??;
    let copied = echoing.join().map_err(panicked)??;
    ensure(back == sent && copied == BULK as u64, || {
        format!("{} bytes came back of {BULK}, or others", back.len())
    })
}

fn datagrams() -> Outcome {
    let (near, far) = UnixDatagram::pair()?;
    let receiving = thread::spawn(move || -> io::Result<Option<u32>> {
        for number in 0..DATAGRAMS {
            let mut bytes = [0; 64];
            let length = far.recv(&mut bytes)?;
            if bytes[..length] != number.to_le_bytes() {
                return Ok(Some(number));
            }
        }
        Ok(None)
    });
    for number in 0..DATAGRAMS {
        near.send(&number.to_le_bytes())?;
    }
    let wrong = receiving
        .join()
        .map_err(|_| failed("a thread panicked"))??;
    ensure(wrong.is_none(), || format!("datagram {wrong:?} is another"))
}
