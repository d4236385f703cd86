//! `xenlet compare` and `xenlet lab` as scripts see them: exit codes, the worst first, and bad
//! input named with its place.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tests::binary;

fn xenlet(args: &[&str]) -> Output {
    binary::run(binary::xenlet(), args)
}

/// A directory of this test's own.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).expect("writable");
    dir
}

/// The report of every workload under one policy.
fn report(dir: &Path, policy: &str) -> String {
    let file = dir.join(format!("{policy}.json")).display().to_string();
    let args = ["lab", "--backend", "direct", "--policy", policy];
    let ran = xenlet(&[&args[..], &["--format", "json", "--out", &file]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    file
}

fn stdout(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn stderr(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[test]
fn lost_batching_comes_first_with_its_numbers() {
    let dir = scratch("compare");
    let [a, b] = ["generic", "generic-7.2"].map(|policy| report(&dir, policy));
    let ran = xenlet(&["compare", &a, &b]);
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
    let text = stdout(&ran);
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" -> ")).collect();
    for row in &rows[..10] {
        assert!(row.contains("batching lost"), "{text}");
        assert!(row.contains(" 17 ") && row.contains(" 51"), "{row}");
    }
    let at = |name: &str| rows.iter().position(|r| r.starts_with(name));
    assert!(
        rows[at("mprotect ").expect("a row")].contains("30.12x"),
        "{text}"
    );
    assert!(
        at("mprotect ") < at("munmap "),
        "what is the same comes last: {text}"
    );
}

#[test]
fn a_script_gets_the_same_as_json_and_ktap() {
    let dir = scratch("compare-json");
    let [a, b] = ["generic", "generic-7.2"].map(|policy| report(&dir, policy));
    let ran = xenlet(&["compare", &a, &b, "--format", "json"]);
    assert_eq!(ran.status.code(), Some(1));
    let comparison: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let rows = comparison["rows"].as_array().expect("rows");
    assert_eq!(rows[0]["change"], "worse");
    let mprotect = rows.iter().find(|r| r["workload"] == "mprotect");
    let mprotect = mprotect.expect("a row");
    assert_eq!(
        [&mprotect["a"]["traps"], &mprotect["b"]["traps"]],
        [17, 512]
    );
    let ktap = stdout(&xenlet(&["compare", &a, &b, "--format", "ktap"]));
    assert!(ktap.starts_with("KTAP version 1\n"), "{ktap}");
    assert!(ktap.contains("traps=512 was=17"), "{ktap}");
}

#[test]
fn nothing_changed_and_better_are_right() {
    let dir = scratch("compare-same");
    let [a, b] = ["generic", "eager"].map(|policy| report(&dir, policy));
    assert_eq!(xenlet(&["compare", &a, &a]).status.code(), Some(0));
    let ran = xenlet(&["compare", &b, &a, "--tolerance", "10"]);
    let text = stdout(&ran);
    let row = text.lines().find(|l| l.starts_with("mprotect "));
    assert!(row.is_some_and(|r| r.contains("better")), "{text}");
}

#[test]
fn what_is_no_longer_measured_is_worse() {
    let dir = scratch("compare-lost");
    let good = report(&dir, "generic");
    let edited = |name: &str, edit: fn(&mut Vec<Value>)| {
        let text = fs::read(&good).expect("written");
        let mut report: Value = serde_json::from_slice(&text).expect("JSON");
        edit(report["results"].as_array_mut().expect("rows"));
        let file = dir.join(name).display().to_string();
        fs::write(&file, report.to_string()).expect("writable");
        xenlet(&["compare", &good, &file])
    };
    let skipped = edited("skipped.json", |rows| rows[0]["verdict"] = "skip".into());
    assert_eq!(skipped.status.code(), Some(1));
    let text = stdout(&skipped);
    assert!(
        text.contains("no longer measured: 1 rows: mprotect\n"),
        "{text}"
    );
    let missing = edited("missing.json", |rows| drop(rows.remove(0)));
    assert_eq!(missing.status.code(), Some(1));
    let text = stdout(&missing);
    assert!(text.contains("not in B: mprotect/generic\n"), "{text}");
}

#[test]
fn reports_of_other_sizes_are_refused_with_both_values() {
    let dir = scratch("compare-sizes");
    let one = |name: &str, axis: [&str; 2]| {
        let file = dir.join(name).display().to_string();
        let args = ["lab", "--backend", "direct", "--policy", "generic"];
        let more = ["--workload", "mprotect", "--format", "json", "--out", &file];
        let ran = xenlet(&[&args[..], &more, &axis].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
        file
    };
    let a = one("a.json", ["--ptes", "512"]);
    for (axis, values) in [
        (["--ptes", "64"], ["ptes 512", "ptes 64"]),
        (["--batch", "8"], ["batch linux", "batch 8"]),
        (["--cpus", "2"], ["cpus 1", "cpus 2"]),
    ] {
        let ran = xenlet(&["compare", &a, &one("b.json", axis)]);
        assert_eq!(ran.status.code(), Some(2), "{axis:?}");
        assert_eq!(stdout(&ran), "", "{axis:?}");
        let said = stderr(&ran);
        assert!(values.iter().all(|v| said.contains(v)), "{said}");
    }
}

#[test]
fn a_bad_report_is_named_with_its_place() {
    let dir = scratch("compare-bad");
    let good = report(&dir, "generic");
    let text = fs::read_to_string(&good).expect("written");
    let bad = |name: &str, text: &str| {
        let file = dir.join(name).display().to_string();
        fs::write(&file, text).expect("writable");
        let ran = xenlet(&["compare", &good, &file]);
        assert_eq!(ran.status.code(), Some(2), "{name}");
        assert_eq!(stdout(&ran), "", "{name}");
        let said = stderr(&ran);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&file), "{said}");
        said.replace(&file, "F")
    };
    let half = &text[..text.len() / 2];
    let line = half.lines().count();
    let cut = bad("cut.json", half);
    assert!(cut.contains(&format!("F:{line}:")), "{cut}");
    let other = bad("other.json", &text.replace("xenlet.lab/1", "xenlet.lab/2"));
    assert!(
        other.contains("xenlet.lab/2") && other.contains("xenlet.lab/1"),
        "{other}"
    );
    assert!(bad("empty.json", "").contains("F:1:"));
    assert!(bad("boot.json", "{\"schema\": \"xenlet.boot/1\"}").contains("xenlet.boot/1"));
    assert!(bad("binary.json", "\u{0}\u{1}").contains("F:1:"));
    let none = xenlet(&["compare", &good, "/nonexistent.json"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("/nonexistent.json"));
}

#[test]
fn an_unknown_name_lists_the_near_ones() {
    for (args, near) in [
        (["--workload", "mprotec"], "mprotect"),
        (
            ["--workload", "kasan"],
            "kasan_populate or kasan_depopulate",
        ),
        (["--policy", "generic7.2"], "generic-7.2"),
        (["--policy", "legacy"], "legacy-6.1"),
    ] {
        let ran = xenlet(&[&["lab", "--backend", "direct"][..], &args].concat());
        assert_eq!(ran.status.code(), Some(2), "{args:?}");
        let said = stderr(&ran);
        assert!(said.contains(near) && said.contains(args[1]), "{said}");
        assert_eq!((stdout(&ran), said.lines().count()), (String::new(), 1));
    }
}

#[test]
fn the_ordinary_program_has_no_faults() {
    for args in [&["mutants"][..], &["lab", "--mutant", "drop-last-entry"]] {
        assert_eq!(xenlet(args).status.code(), Some(2), "{args:?}");
    }
    let ran = xenlet(&["lab", "--help"]);
    assert!(!stdout(&ran).contains("mutant"));
}
