//! Fifty megabytes written to a file and hashed: by this process, and by another program's own
//! code. The digest they must have was computed elsewhere.

use super::outcome::{Outcome, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, process};

/// Bytes of data.
pub(super) const LENGTH: usize = 50 << 20;
/// Their SHA-256, which the test below computes anew.
const KNOWN: &str = "3156c24853d85593b3def0a4d871c58d6d59d6f778008458c0cd81df20700da9";
const BUSYBOX: &str = "/bin/busybox";

/// Writes, hashes, compares.
pub(super) fn check() -> Outcome {
    let path = env::temp_dir().join(format!("battery.{}.data", process::id()));
    let checked = write(&path)
        .map_err(Into::into)
        .and_then(|()| hashes(&path));
    fs::remove_file(&path)?;
    checked
}

fn hashes(path: &Path) -> Outcome {
    let ours = of(BufReader::new(File::open(path)?))?;
    ensure(ours == KNOWN, || format!("the data hashes to {ours}"))?;
    if !Path::new(BUSYBOX).exists() {
        return Ok(());
    }
    let output = Command::new(BUSYBOX)
        .arg("sha256sum")
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    let theirs = String::from_utf8_lossy(&output.stdout);
    ensure(theirs.starts_with(KNOWN), || {
        format!("busybox says {theirs:?}")
    })
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for block in data() {
        file.write_all(&block)?;
    }
    file.flush()
}

/// The SHA-256 of everything in `from`, in hexadecimal.
pub(super) fn of(mut from: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut block = vec![0; 64 << 10];
    loop {
        match from.read(&mut block)? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Numbers of a xorshift generator, eight bytes at a time.
fn data() -> impl Iterator<Item = [u8; 8]> {
    let next = |x: &u64| {
        let x = x ^ x << 13;
        let x = x ^ x >> 7;
        Some(x ^ x << 17)
    };
    let numbers = std::iter::successors(Some(0x9e37_79b9_7f4a_7c15), next);
    numbers.take(LENGTH / 8).map(u64::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_digest_is_the_datas() {
        let mut hash = Sha256::new();
        data().for_each(|block| hash.update(block));
        let digest = hash.finalize();
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, KNOWN);
        assert_eq!(
            of(&b"abc"[..]).expect("readable"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
