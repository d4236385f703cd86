//! Measures of this program as a process: run again, from exec on.

use super::measure;
use crate::lab::GUEST;
use crate::report::bench::Measure;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const SAMPLES: usize = 15;
const MEM_MIB: u64 = 64;

/// The embedded guest in a file, removed when dropped.
struct GuestFile(PathBuf);

impl GuestFile {
    fn new() -> io::Result<GuestFile> {
        let path = std::env::temp_dir().join(format!("xenlet-bench-{}", std::process::id()));
        fs::write(&path, GUEST)?;
        Ok(GuestFile(path))
    }

    /// This program, booting the guest with `plan`.
    fn boot(&self, plan: &str) -> io::Result<Child> {
        Command::new(std::env::current_exe()?)
            .args([
                "boot",
                "--mem-mib",
                &MEM_MIB.to_string(),
                "--cmdline",
                plan,
                "--kernel",
            ])
            .arg(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }
}

impl Drop for GuestFile {
    fn drop(&mut self) {
        // Whoever cleans the temporary directory removes what we cannot.
        let _ = fs::remove_file(&self.0);
    }
}

/// From exec to the first byte the guest prints, which it does after its set-up of memory: more
/// than the way to its first instruction.
pub(super) fn first_output() -> io::Result<Measure> {
    let guest = GuestFile::new()?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let mut child = guest.boot("workload=mprotect policy=generic ptes=1")?;
        let mut byte = [0];
        let read = child
            .stdout
            .take()
            .map(|mut out| out.read(&mut byte))
            .transpose()?;
        let took = start.elapsed();
        child.wait()?;
        if read != Some(1) {
            return Err(io::Error::other("the guest printed nothing"));
        }
        samples.push(took.as_secs_f64() * 1000.0);
    }
    Ok(measure(
        "exec to the guest's first output",
        "ms",
        samples,
        None,
        20.0,
    ))
}

/// Resident memory of a process that has finished a run, its guest's RAM left out.
pub(super) fn memory() -> io::Result<Measure> {
    let guest = GuestFile::new()?;
    let mut samples = Vec::new();
    for _ in 0..5 {
        let mut child = guest.boot("workload=mprotect,fork policy=eager")?;
        let mut peak: Option<u64> = None;
        while child.try_wait()?.is_none() {
            // The process may end between the two looks: that look is left out.
            if let Ok(smaps) = fs::read_to_string(format!("/proc/{}/smaps", child.id())) {
                peak = peak.max(beyond_guest_kib(&smaps, MEM_MIB));
            }
        }
        if let Some(kib) = peak {
            samples.push(kib as f64 / 1024.0);
        }
    }
    Ok(measure(
        "VMM memory beyond guest RAM",
        "MiB",
        samples,
        None,
        8.0,
    ))
}

/// Resident KiB of all mappings but the largest, which is the guest's RAM of so many MiB; `None`
/// where there is no mapping large enough to be that. Comes in: a process's `/proc/PID/smaps`.
#[must_use]
pub fn beyond_guest_kib(smaps: &str, mem_mib: u64) -> Option<u64> {
    let field = |line: &str, name| {
        let rest = line.strip_prefix(name)?;
        rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    let (mut size, mut total, mut largest) = (0, 0, (0, 0));
    for line in smaps.lines() {
        if let Some(kib) = field(line, "Size:") {
            size = kib;
        } else if let Some(rss) = field(line, "Rss:") {
            total += rss;
            largest = largest.max((size, rss));
        }
    }
    (largest.0 >= mem_mib << 10).then(|| total - largest.1)
}

/// The default lab, from exec to exit.
pub(super) fn default_lab(backend: &str, limit_s: f64) -> io::Result<Measure> {
    let mut samples = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let status = Command::new(std::env::current_exe()?)
            .args(["lab", "--backend", backend, "--format", "csv"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("the lab ended with {status}")));
        }
        samples.push(start.elapsed().as_secs_f64());
    }
    Ok(measure(
        &format!("the default lab, {backend}"),
        "s",
        samples,
        None,
        limit_s,
    ))
}

#[cfg(test)]
mod tests {
    use super::{MEM_MIB, beyond_guest_kib};

    #[test]
    fn the_largest_mapping_is_the_guests() {
        let guest = MEM_MIB * 1024 + 100;
        let text = format!("a\nSize: 12 kB\nRss: 8 kB\nb\nSize: {guest} kB\nRss: 999 kB\n");
        assert_eq!(beyond_guest_kib(&text, MEM_MIB), Some(8));
        assert_eq!(beyond_guest_kib("Size: 12 kB\nRss: 8 kB\n", MEM_MIB), None);
    }
}
