//! Builds the guests' programs for their own targets, so that the binary carries them: the
//! measuring guest, its path in `GUEST_KERNEL`; Linux's first process, in `GUEST_INIT`. And leaves
//! the revision in `XENLET_REVISION`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// A program that runs in a guest.
struct Program {
    package: &'static str,
    binary: &'static str,
    target: &'static str,
    /// What it needs beyond its target's defaults.
    rustflags: &'static str,
}

/// Absolute addresses in the top 2 GiB.
const KERNEL: Program = Program {
    package: "guest-kernel",
    binary: "kernel",
    target: "x86_64-unknown-none",
    rustflags: "-Crelocation-model=static\x1f-Ccode-model=kernel",
};

/// Static: there are no libraries where it runs. Nobody debugs it by its symbols.
const INIT: Program = Program {
    package: "init",
    binary: "init",
    target: "x86_64-unknown-linux-musl",
    rustflags: "-Cstrip=symbols",
};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
    for part in [
        "guest",
        "hypercalls",
        "images/init",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let features = match env::var_os("CARGO_FEATURE_MUTANTS") {
        Some(_) => "mutants",
        None => "",
    };
    let kernel = build(&KERNEL, &root, &out.join("guest"), features);
    let init = build(&INIT, &root, &out.join("guest"), "");
    println!("cargo:rustc-env=GUEST_KERNEL={}", kernel.display());
    println!("cargo:rustc-env=GUEST_INIT={}", init.display());
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
fn ensure_target(target: &str) {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .ok()
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .unwrap_or_default();
    let there = Path::new(sysroot.trim()).join("lib/rustlib").join(target);
    if there.is_dir() {
        return;
    }
    println!("cargo:warning=the guest needs Rust's {target} target; adding it with rustup");
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .status();
    if !added.is_ok_and(|s| s.success()) {
        fail(&format!(
            "the guest needs Rust's {target} target: run `rustup target add {target}`"
        ));
    }
}

/// A nested cargo with a target directory of its own: the outer one holds its lock.
fn build(program: &Program, root: &Path, target_dir: &Path, features: &str) -> PathBuf {
    ensure_target(program.target);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--release", "--package", program.package])
        .args(["--target", program.target])
        .args(["--features", features, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", program.rustflags)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR");
    match command.status() {
        Ok(status) if status.success() => target_dir
            .join(program.target)
            .join("release")
            .join(program.binary),
        Ok(status) => fail(&format!(
            "building {} for the guest: {status}",
            program.package
        )),
        Err(e) => fail(&format!("running cargo for the guest: {e}")),
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
