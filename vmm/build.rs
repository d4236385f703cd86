//! Builds the measuring guest for its own target and leaves its path in `GUEST_KERNEL`, so that
//! the binary carries it; and the revision in `XENLET_REVISION`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "x86_64-unknown-none";
/// What the kernel's target needs beyond its defaults: absolute addresses in the top 2 GiB.
const RUSTFLAGS: &str = "-Crelocation-model=static\x1f-Ccode-model=kernel";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
    for part in ["guest", "hypercalls", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    ensure_target();
    let features = if env::var_os("CARGO_FEATURE_MUTANTS").is_some() {
        "mutants"
    } else {
        ""
    };
    let kernel = build_kernel(&root, &out.join("guest"), features);
    println!("cargo:rustc-env=GUEST_KERNEL={}", kernel.display());
    println!("cargo:rustc-env=XENLET_REVISION={}", revision(&root));
    // In a worktree it lies elsewhere, and a file that is not there always counts as changed.
    let head = root.join(".git/HEAD");
    if head.exists() {
        println!("cargo:rerun-if-changed={}", head.display());
    }
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1)
}

/// rust-toolchain.toml names the target, so rustup brings it by itself; unless told not to.
fn ensure_target() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .ok()
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .unwrap_or_default();
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
    {
        return;
    }
    println!("cargo:warning=the guest needs Rust's {TARGET} target; adding it with rustup");
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    if !added.is_ok_and(|s| s.success()) {
        fail(&format!(
            "the guest needs Rust's {TARGET} target: run `rustup target add {TARGET}`"
        ));
    }
}

/// A nested cargo with a target directory of its own: the outer one holds its lock.
fn build_kernel(root: &Path, target_dir: &Path, features: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args([
            "build",
            "--release",
            "--package",
            "guest-kernel",
            "--target",
            TARGET,
        ])
        .args(["--features", features, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR");
    match command.status() {
        Ok(status) if status.success() => target_dir.join(TARGET).join("release/kernel"),
        Ok(status) => fail(&format!("building the guest kernel: {status}")),
        Err(e) => fail(&format!("running cargo for the guest kernel: {e}")),
    }
}

fn revision(root: &Path) -> String {
    Command::new("git")
        .current_dir(root)
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|o| o.status.success())
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .map_or_else(|| "unknown".into(), |s| s.trim().into())
}
