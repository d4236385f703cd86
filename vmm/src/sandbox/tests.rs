//! What a confined thread can and cannot do. Each test confines a thread of its own.

use super::{Duty, enter};
use std::fs::File;
use std::io::{ErrorKind, Read, Write, pipe};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

fn confined<T: Send>(duty: Duty, what: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(duty).expect("a kernel with seccomp");
            what()
        });
        thread.join().expect("what it does is allowed")
    })
}

/// Files, sockets, processes, threads: all refused, with an error and not a dead process.
#[test]
fn nothing_of_the_host_can_be_reached() {
    for duty in [Duty::Vcpu, Duty::Events] {
        let path = std::env::temp_dir().join("xenlet-sandbox");
        let refused = confined(duty, || {
            [
                File::open("/etc/hostname").err(),
                File::create(&path).err(),
                std::fs::remove_file(&path).err(),
                std::fs::read_dir("/").err(),
                TcpListener::bind("127.0.0.1:0").err(),
                UdpSocket::bind("127.0.0.1:0").err(),
                UnixStream::pair().err(),
                pipe().err(),
                Command::new("/bin/true").status().err(),
                thread::Builder::new().spawn(|| ()).err(),
            ]
        });
        for (i, refused) in refused.into_iter().enumerate() {
            let kind = refused.map(|e| e.kind());
            assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{duty:?} {i}");
        }
        assert!(!path.exists());
    }
    // This thread still can.
    assert!(File::open("/proc/self/status").is_ok());
}

/// Memory, locks, sleep, time and what is open already: all there.
#[test]
fn what_a_thread_lives_on_is_allowed() {
    for duty in [Duty::Vcpu, Duty::Events] {
        let (mut reader, mut writer) = pipe().expect("a pipe");
        let (send, receive) = channel();
        let sum = confined(duty, move || {
            // Large and small, so that the allocator maps and grows.
            let large: Vec<usize> = (1..=20).map(|i| vec![1u8; i << 20].len()).collect();
            let before = Instant::now();
            thread::sleep(Duration::from_millis(2));
            thread::yield_now();
            assert!(before.elapsed() >= Duration::from_millis(2));
            writer.write_all(b"console").expect("open");
            send.send(large.len()).expect("a receiver");
            let map: std::collections::HashMap<_, _> = large.iter().zip(0..).collect();
            map.len()
        });
        assert_eq!((sum, receive.recv()), (20, Ok(20)));
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("open");
        assert_eq!(text, "console");
    }
}
