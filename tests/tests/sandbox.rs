//! The threads of a running guest are confined: its vCPU's and the one beside it have a filter, a
//! forbidden call made on the vCPU's is refused, and the guest runs as ever. What the filters are
//! for: a guest that takes over the hypervisor's thread has no file and no network to go to.

use hypercalls::sched::SHUTDOWN_POWEROFF;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, Sender, channel};
use tests::runner::{Check, Checked, main as run};
use tests::runs::kvm;
use xenlet::domain::{DomainConfig, Program};
use xenlet::image::Image;
use xenlet::kvm::{Ending, Host, Options, Outcome};
use xenlet::lab::GUEST;

fn main() -> ExitCode {
    run(vec![
        Check::new("forbidden_calls_are_refused", forbidden_calls_are_refused),
        Check::new("every_thread_has_a_filter", every_thread_has_a_filter),
    ])
}

/// The guest's console, which is written on its vCPU's thread: does something else there first.
struct Console<F>(Option<F>);

impl<F: FnOnce()> Write for Console<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(what) = self.0.take() {
            what();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs one cell of the lab, with `what` done on the vCPU's thread in its midst.
fn lab(cpus: usize, what: impl FnOnce() + Send) {
    let image = Image::parse(GUEST.to_vec()).expect("the embedded guest");
    let config = DomainConfig {
        mem_mib: 32,
        cpus,
        cmdline: "workload=mprotect policy=generic ptes=512 batch=linux".into(),
        initrd: None,
        ..DomainConfig::default()
    };
    let host = Host::open().expect("KVM that opens works");
    let machine = host.build(&Program::from(&image), &config);
    let options = Options {
        output: Some(Box::new(Console(Some(what)))),
        ..Options::default()
    };
    let Outcome { domain, ending } = machine.expect("fits").run(options).expect("starts");
    assert!(
        matches!(ending, Ending::Shutdown(SHUTDOWN_POWEROFF)),
        "{ending:?}"
    );
    let traps: Vec<u64> = domain.lab.cells.iter().map(|cell| cell.traps).collect();
    assert_eq!(traps, [17], "the lab passes under the filter");
}

fn forbidden_calls_are_refused() -> Checked {
    kvm()?;
    let mut refused = Vec::new();
    lab(1, || {
        refused = vec![
            File::open("/etc/hostname").err(),
            File::create("xenlet-sandbox").err(),
            TcpStream::connect("127.0.0.1:9").err(),
            Command::new("/bin/true").spawn().err(),
        ];
    });
    let kinds: Vec<_> = refused.into_iter().map(|e| e.map(|e| e.kind())).collect();
    assert_eq!(kinds, [Some(ErrorKind::PermissionDenied); 4]);
    assert!(
        File::open("/proc/self/status").is_ok(),
        "the caller is free"
    );
    Ok(())
}

fn every_thread_has_a_filter() -> Checked {
    kvm()?;
    let free = threads("0");
    let (here, there): (Sender<()>, Receiver<()>) = channel();
    let (answer, answered) = channel();
    let counting = std::thread::spawn(move || {
        there.recv().expect("the guest prints");
        let counted = (threads("0"), threads("2"));
        answer.send(()).expect("the vCPU waits");
        counted
    });
    lab(2, move || {
        here.send(()).expect("somebody counts");
        answered.recv().expect("an answer");
    });
    let (unconfined, confined) = counting.join().expect("counted");
    assert_eq!(unconfined, free + 1, "the one more is who counts");
    // Two vCPUs and the loop beside them; KVM may have a thread of its own for the machine.
    assert!(confined >= 3, "{confined}");
    assert_eq!(threads("2"), 0, "filters end with their threads");
    Ok(())
}

/// Threads of this process whose seccomp mode is `mode`.
fn threads(mode: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("proc");
    let line = format!("Seccomp:\t{mode}");
    let of_mode = tasks.filter(|task| {
        let path = task.as_ref().expect("a thread").path().join("status");
        // A thread that just ended is none.
        fs::read_to_string(path).is_ok_and(|status| status.lines().any(|l| l == line))
    });
    of_mode.count()
}
