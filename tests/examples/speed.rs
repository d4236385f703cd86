//! One kernel and one initramfs under `xenlet` and under QEMU's emulator, side by side in one run:
//! the time to the first line of user mode and for 100 processes, as ratios; then what it took in
//! exits, where the time went, and the hypervisor's memory beyond the guest's. Exit code 1 if any is
//! more than it may be. `cargo run --release -p tests --example speed [IMAGE] [RUNS]`.
//!
//! The smallest of each time counts, and the largest of the memory: what else the machine does only
//! ever adds to a time.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tests::binary::release;
use tests::hosts::Harness;
use tests::scratch::{Scratch, text};
use xenlet::bench::beyond_guest_kib;
use xenlet::images::Cache;
use xenlet::initramfs;

const FORKS: u32 = 100;
const MEM_MIB: u64 = 512;
/// How much slower than the emulator a boot and processes may be.
const BOOT_RATIO: f64 = 2.7;
const FORK_RATIO: f64 = 8.0;
/// The hypervisor's memory beyond the guest's, at most.
const VMM_MIB: f64 = 16.0;
/// A run that takes longer hangs.
const LIMIT: &str = "300";

/// The times of one run.
#[derive(Clone, Copy, Debug)]
struct Times {
    boot: Duration,
    forks: Duration,
    /// Of the process beyond the guest's memory, as far as it could be looked at.
    kib: Option<u64>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let image = args.next().unwrap_or_else(|| "debian-6.1".to_owned());
    let runs: u32 = args.next().map_or(Ok(3), |n| n.parse())?;
    let cache = Cache::of_user()?;
    let kernel = cache
        .get(&image)
        .ok_or("not here: xenlet images fetch it")?;
    let dir = Scratch::new();
    let initrd = dir.file("initrd", &initramfs::build(&cache, &image)?);
    let (kernel, stats) = (text(&kernel.file), text(&dir.path("stats.json")));
    let harness = Harness::prepare()?;
    let cmdline = |console| format!("console={console} quiet panic=-1 xenlet.init=forks,{FORKS}");
    let mem_mib = MEM_MIB.to_string();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut emulator = bounded(&harness.qemu());
        emulator.args(["-accel", "tcg", "-cpu", "qemu64", "-m", &mem_mib]);
        emulator.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        emulator.args(["-no-reboot", "-serial", "stdio", "-kernel", &kernel]);
        emulator.args(["-initrd", &initrd, "-append", &cmdline("ttyS0")]);
        theirs.push(run(&mut emulator)?);
        let mut vmm = bounded(&Command::new(release()));
        vmm.args(["boot", "--kernel", &kernel, "--initrd", &initrd]);
        vmm.args(["--mem-mib", &mem_mib, "--cmdline", &cmdline("hvc0")]);
        vmm.args(["--stats", &stats]);
        ours.push(run(&mut vmm)?);
    }
    let fine = report(&image, &ours, &theirs);
    counters(&fs::read_to_string(&stats)?)?;
    Ok(match fine {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The same program under `timeout`.
fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("timeout");
    bounded
        .args(["-s", "KILL", LIMIT])
        .arg(command.get_program());
    bounded.args(command.get_args()).stdin(Stdio::null());
    bounded
}

/// Runs to the end, looking at the clock at each of the guest's marks.
fn run(command: &mut Command) -> Result<Times, Box<dyn Error>> {
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let (mut boot, mut begin, mut forks, mut kib) = (None, None, None, None);
    for line in BufReader::new(stdout).split(b'\n') {
        let (line, now) = (line?, started.elapsed());
        let line = String::from_utf8_lossy(&line);
        let is = |mark: &str| line.contains(mark);
        if is(init::MARKER) {
            boot = boot.or(Some(now));
            kib = kib.max(memory(child.id()));
        } else if is(init::forks::BEGIN) {
            begin = Some(now);
        } else if is(&format!("{} {FORKS}", init::forks::END)) {
            forks = begin.map(|begin| now - begin);
            kib = kib.max(memory(child.id()));
        }
    }
    let status = child.wait()?;
    match (boot, forks) {
        (Some(boot), Some(forks)) => Ok(Times { boot, forks, kib }),
        _ => Err(format!("{command:?}: {status}, not all went well").into()),
    }
}

/// Of the process that `timeout` runs, beyond the guest's.
fn memory(timeout: u32) -> Option<u64> {
    let children = fs::read_to_string(format!("/proc/{timeout}/task/{timeout}/children")).ok()?;
    let child = children.split_whitespace().next()?;
    let smaps = fs::read_to_string(format!("/proc/{child}/smaps")).ok()?;
    beyond_guest_kib(&smaps, MEM_MIB)
}

/// Prints the rows; whether all are as wanted.
fn report(image: &str, ours: &[Times], theirs: &[Times]) -> bool {
    println!(
        "{image}, 1 vCPU, {MEM_MIB} MiB, the best of {} runs each",
        ours.len()
    );
    let boot = |times: &[Times]| best(times.iter().map(|t| t.boot));
    let forks = |times: &[Times]| best(times.iter().map(|t| t.forks));
    let kib = ours.iter().filter_map(|t| t.kib).max();
    let mib = kib.map_or(f64::INFINITY, |kib| kib as f64 / 1024.0);
    println!("VMM memory beyond guest RAM {mib:.1} MiB (at most {VMM_MIB} wanted)");
    let boot = row("first user line", boot(ours), boot(theirs), BOOT_RATIO);
    let forks = row("100 processes", forks(ours), forks(theirs), FORK_RATIO);
    boot && forks && mib <= VMM_MIB
}

fn best(times: impl Iterator<Item = Duration>) -> f64 {
    times.min().unwrap_or_default().as_secs_f64()
}

fn row(name: &str, ours: f64, theirs: f64, wanted: f64) -> bool {
    let ratio = ours / theirs;
    println!(
        "{name:<16} xenlet {ours:6.2} s   QEMU TCG {theirs:6.2} s   {ratio:5.2}x (at most {wanted}x wanted)"
    );
    ratio <= wanted
}

/// What the last run took.
fn counters(stats: &str) -> Result<(), Box<dyn Error>> {
    let stats: serde_json::Value = serde_json::from_str(stats)?;
    for group in ["time_ms", "exits", "hypercalls", "exceptions"] {
        let rows = stats["counters"][group].as_object().ok_or("no counters")?;
        let row = |(name, n): (&String, &serde_json::Value)| format!("{} {n}", name.trim());
        let rows: Vec<String> = rows.iter().map(row).collect();
        println!("{group}: {}", rows.join(", "));
    }
    Ok(())
}
