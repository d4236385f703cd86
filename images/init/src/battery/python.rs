//! A big dynamic program: Python with its C library, loader and modules, as Debian ships it.

use super::digest;
use super::outcome::{NotOk, Outcome, ensure};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Imports, bignums, floating point, sorting, text, objects that are thrown away; then the hash of
/// the program itself. What it prints is known but for that.
const SCRIPT: &str = r#"
import functools, hashlib, math, re, sys
print(functools.reduce(lambda a, b: a * b, range(1, 401)) % (10 ** 9 + 7))
sieve = bytearray([1]) * 200000
for n in range(2, 448):
    if sieve[n]: sieve[n * n::n] = bytes(len(range(n * n, 200000, n)))
print(sum(sieve) - 2)
print(round(sum(math.sin(n) / (n + 1) for n in range(100000)), 9))
words = sorted({w[::-1]: len(w) for w in re.findall('[a-z]+', __doc__ or 'b a' * 5000)})
print(len(words))
chain = None
for n in range(100000): chain = (n, chain) if n % 1000 else None
print(chain[0])
print(hashlib.sha256(open(sys.executable, 'rb').read()).hexdigest())
"#;

/// Its output, line by line.
const KNOWN: [&str; 5] = ["390998217", "17984", "0.543204497", "3", "99999"];

/// Runs it, if it is there.
pub(super) fn check() -> Outcome {
    let Some(python) = find() else {
        return Err(NotOk::Skipped("there is no python3".into()));
    };
    let output = Command::new(&python)
        .args(["-I", "-S", "-c", SCRIPT])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure(output.status.success(), || {
        format!("it ended with {}", output.status)
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let own = digest::of(File::open(&python)?)?;
    let wanted: Vec<&str> = KNOWN.into_iter().chain([own.as_str()]).collect();
    let got: Vec<&str> = text.lines().collect();
    ensure(got == wanted, || {
        format!("it printed {got:?}, not {wanted:?}")
    })
}

/// `/usr/bin/python3.N`: the program itself, not a link to it.
fn find() -> Option<PathBuf> {
    let programs = fs::read_dir("/usr/bin").ok()?.flatten();
    let mut found: Vec<PathBuf> = programs
        .filter(|entry| {
            let name = entry.file_name();
            let minor = name.to_str().and_then(|name| name.strip_prefix("python3."));
            minor.is_some_and(|minor| minor.parse::<u32>().is_ok())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.pop()
}
