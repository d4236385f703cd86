//! The program as a process: built by cargo on first use, since a test of another package cannot
//! ask for it. Goes out: the executable's path, and what a run of it printed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The ordinary `xenlet`.
pub fn xenlet() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&target_dir(), &[]))
}

/// The `xenlet` that people run, optimized: where the CPU is emulated, it is what counts.
pub fn release() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&target_dir(), &["--release"]))
}

/// `xenlet` with the deliberate faults, in a target directory of its own: they must never get
/// into the ordinary one by way of cargo's union of features.
pub fn with_mutants() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    // Nobody debugs it, and without the tables it builds sooner.
    let how = [
        "--features",
        "mutants",
        "--config",
        "profile.dev.debug=false",
    ];
    BUILT.get_or_init(|| build(&target_dir().join("mutants"), &how))
}

/// Runs `program`; what it printed and how it ended.
///
/// # Panics
/// If it cannot be started.
pub fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

/// The directory this test was built in: `target/debug/deps/test` lies three below it.
fn target_dir() -> PathBuf {
    let test = env::current_exe().expect("a running test has a file");
    let dir = test.ancestors().nth(3).expect("cargo's layout");
    dir.to_path_buf()
}

fn build(target: &Path, how: &[&str]) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--locked", "--package", "xenlet"])
        .args(how)
        .arg("--target-dir")
        .arg(target)
        .status();
    assert!(
        built.as_ref().is_ok_and(std::process::ExitStatus::success),
        "building xenlet: {built:?}"
    );
    let profile = if how.contains(&"--release") {
        "release"
    } else {
        "debug"
    };
    target.join(profile).join("xenlet")
}
