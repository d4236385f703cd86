//! `images/bisect.sh`, with a kernel tree that is empty and programs that do as they are told: what
//! `git bisect run` is told of a commit. Git takes 1 to 127 but 125 for "bad", so that whatever goes
//! wrong by itself must not end with these.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use tests::runner::{self, Check, Checked};
use tests::scratch::{Scratch, text};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../images/bisect.sh");
/// Writes down how it was called, and ends with what the environment says for its first word.
const FAKE: &str = "#!/bin/sh\n\
    echo \"${0##*/} $*\" >>\"$LOG\"\n\
    case $1 in\n\
    measure) exit \"${MEASURE:-0}\" ;;\n\
    compare) exit \"${COMPARE:-0}\" ;;\n\
    *) exit \"${BUILD:-0}\" ;;\n\
    esac\n";

// One after the other: a program that was just written cannot be run while another thread's child
// has its file open.
fn main() -> ExitCode {
    let checks = [
        (
            "a_commit_is_good_or_bad_by_the_comparison",
            a_commit_is_good_or_bad_by_the_comparison as fn() -> Checked,
        ),
        (
            "what_cannot_be_built_measured_or_compared_is_skipped",
            what_cannot_be_built_measured_or_compared_is_skipped,
        ),
        (
            "without_a_report_to_compare_with_the_bisection_ends",
            without_a_report_to_compare_with_the_bisection_ends,
        ),
        (
            "the_kernel_is_configured_built_measured_and_compared",
            the_kernel_is_configured_built_measured_and_compared,
        ),
    ];
    let checks = checks.into_iter();
    runner::main(
        checks
            .map(|(name, check)| Check::new(name, check))
            .collect(),
    )
}

/// A tree with a `scripts/config`, a `make` and a `xenlet`.
struct Tree(Scratch);

impl Tree {
    fn new() -> Tree {
        let dir = Scratch::new();
        for (place, name) in [("scripts", "config"), ("bin", "make"), ("bin", "xenlet")] {
            fs::create_dir_all(dir.path(place)).expect("our own directory");
            let file = dir.file(&format!("{place}/{name}"), FAKE.as_bytes());
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("our own file");
        }
        dir.file("good.json", b"{}");
        Tree(dir)
    }

    /// Runs the script there, the fakes ending as `codes` say.
    fn bisect(&self, args: &[&str], codes: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").expect("a search path");
        let run = Command::new(SCRIPT)
            .args(args)
            .current_dir(self.0.path(""))
            .env("PATH", format!("{}:{path}", text(&self.0.path("bin"))))
            .env("LOG", self.0.path("log"))
            .env("TMPDIR", self.0.path("bin"))
            .env_remove("XENLET")
            .env_remove("OPERATIONS")
            .env("JOBS", "3")
            .envs(codes.iter().copied())
            .output();
        run.expect("the script runs")
    }

    /// How the fakes were called.
    fn calls(&self) -> String {
        fs::read_to_string(self.0.path("log")).unwrap_or_default()
    }
}

fn ends(codes: &[(&str, &str)], code: i32) {
    let tree = Tree::new();
    let ran = tree.bisect(&["good.json"], codes);
    assert_eq!(ran.status.code(), Some(code), "{codes:?}: {ran:?}");
    let left = fs::read_dir(tree.0.path("bin")).expect("our own directory");
    assert_eq!(left.count(), 2, "the report was left behind: {codes:?}");
}

fn a_commit_is_good_or_bad_by_the_comparison() -> Checked {
    ends(&[], 0);
    ends(&[("COMPARE", "1")], 1);
    Ok(())
}

fn what_cannot_be_built_measured_or_compared_is_skipped() -> Checked {
    ends(&[("BUILD", "2")], 125);
    for code in ["1", "3", "4", "5"] {
        ends(&[("MEASURE", code)], 125);
    }
    ends(&[("COMPARE", "2")], 125);
    ends(&[("XENLET", "/nonexistent/xenlet")], 125);
    Ok(())
}

fn without_a_report_to_compare_with_the_bisection_ends() -> Checked {
    for args in [&[][..], &["nowhere.json"], &["good.json", "bad.json"]] {
        let tree = Tree::new();
        let ran = tree.bisect(args, &[]);
        assert_eq!(ran.status.code(), Some(255), "{args:?}");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(said.starts_with("usage: "), "{said}");
        assert_eq!(tree.calls(), "", "something was built for nothing");
    }
    Ok(())
}

fn the_kernel_is_configured_built_measured_and_compared() -> Checked {
    let tree = Tree::new();
    tree.bisect(&["good.json"], &[("OPERATIONS", "fork,munmap")]);
    let calls = tree.calls();
    let begins = [
        "make -s defconfig",
        "config -e HYPERVISOR_GUEST",
        "make -s olddefconfig",
        "make -s -j3 vmlinux",
        "xenlet measure --kernel vmlinux --operation fork,munmap --depth 0 --format json --out /",
        "xenlet compare good.json /",
    ];
    assert_eq!(calls.lines().count(), begins.len(), "{calls}");
    for (line, begin) in calls.lines().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    // What is compared is what was measured.
    let report = |line: &str| line.rsplit(' ').next().map(Path::new).map(Path::to_owned);
    let reports: Vec<_> = calls.lines().skip(4).map(report).collect();
    assert_eq!(reports[0], reports[1], "{calls}");
    Ok(())
}
