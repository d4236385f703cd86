//! The command line's contract, from outside: exit codes, one clear line on stderr for what is
//! wrong, results on stdout only, files whole or not at all, and prompt ends.

use assert_cmd::Command;
use hypercalls::elfnote;
use hypercalls::mmu::MMUEXT_NEW_BASEPTR;
use hypercalls::sched::{SCHEDOP_SHUTDOWN, SHUTDOWN_CRASH};
use hypercalls::{DOMID_SELF, Nr};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{self, Child, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};
use tests::asm::Reg::*;
use tests::binary::xenlet;
use tests::elf::{BASE, Elf, PADDR};
use tests::runner::{Check, Checked, Skip, main as run};
use tests::runs::kvm;
use tests::scratch::{Scratch, text};

/// No command of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(60);
/// A run that was told to end does so within this, on a busy machine.
const PROMPTLY: Duration = Duration::from_secs(4);

const DONE: i32 = 0;
const CHECK_FAILED: i32 = 1;
const USAGE: i32 = 2;
const HOST: i32 = 3;
const CRASHED: i32 = 4;
const TIME_LIMIT: i32 = 5;

/// A check's name and body.
type Row = (&'static str, fn() -> Checked);
/// A file's name, its bytes, more arguments, and what the message must say.
type Case<'a> = (&'a str, Vec<u8>, &'a [&'a str], &'a [&'a str]);

fn main() -> ExitCode {
    let checks: &[Row] = &[
        ("bad_usage_is_one_line", bad_usage_is_one_line),
        ("names_are_suggested", names_are_suggested),
        ("help_and_version", help_and_version),
        ("list_names_everything", list_names_everything),
        ("doctor_reports", doctor_reports),
        ("every_format_parses", every_format_parses),
        ("reports_can_be_compared", reports_can_be_compared),
        ("no_kernel_is_one_line", no_kernel_is_one_line),
        ("kernels_cut_short", kernels_cut_short),
        ("kernels_that_do_not_fit", kernels_that_do_not_fit),
        ("no_device", no_device),
        ("no_permission", no_permission),
        ("another_device", another_device),
        ("out_is_whole_or_nothing", out_is_whole_or_nothing),
        ("readers_that_leave", readers_that_leave),
        ("full_devices", full_devices),
        ("a_guest_that_powers_off", a_guest_that_powers_off),
        ("a_guest_that_crashes", a_guest_that_crashes),
        ("a_lab_guest_that_panics", a_lab_guest_that_panics),
        (
            "poison_shows_what_a_guest_relies_on",
            poison_shows_what_a_guest_relies_on,
        ),
        ("a_guest_that_runs_on", a_guest_that_runs_on),
        (
            "a_lab_guest_that_does_not_measure",
            a_lab_guest_that_does_not_measure,
        ),
        ("signals_end_a_run", signals_end_a_run),
        ("a_console_nobody_reads", a_console_nobody_reads),
    ];
    run(checks
        .iter()
        .map(|&(name, check)| Check::new(name, check))
        .collect())
}

/// Runs it to its end, without input.
#[track_caller]
fn call(args: &[&str]) -> Output {
    let ran = Command::new(xenlet()).args(args).timeout(LIMIT).output();
    ran.unwrap_or_else(|e| panic!("{args:?}: {e}"))
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("results are text")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It ended with `code`, nothing on stdout, and one line on stderr that has all of `parts`.
#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = err(output);
    assert_eq!(output.status.code(), Some(code), "{said}, wanted {parts:?}");
    assert_eq!(out(output), "", "on stdout");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("xenlet: ") && said.len() < 400, "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

/// It succeeded and said nothing but its result.
#[track_caller]
fn result(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(DONE), "{}", err(output));
    assert_eq!(err(output), "", "on stderr");
    assert_ne!(out(output), "");
    out(output)
}

fn bad_usage_is_one_line() -> Checked {
    let cases: &[(&[&str], &str)] = &[
        (&["compar"], "compare"),
        (&["lab", "--ptes", "0"], "0 is not in 1..=8192"),
        (&["lab", "--ptes", "8193"], "8193"),
        (&["lab", "--ptes", "-1"], "-1"),
        (&["lab", "--ptes", "many"], "many"),
        (&["lab", "--ptes", ""], "--ptes"),
        (&["lab", "--ptes", "18446744073709551616"], "--ptes"),
        (&["lab", "--batch", "0"], "a number from 1 to 512"),
        (&["lab", "--batch", "513"], "a number from 1 to 512"),
        (&["lab", "--batch", "Linux"], "\"linux\""),
        (&["lab", "--cpus", "0"], "1..=4"),
        (&["lab", "--cpus", "5"], "1..=4"),
        (&["lab", "--backend", "xen"], "kvm, direct"),
        (&["lab", "--format", "yaml"], "table, json, csv, ktap"),
        (&["lab", "--mode", "fast"], "--mode"),
        (&["lab", "--time-limit", "0"], "--time-limit"),
        (&["lab", "mprotect"], "mprotect"),
        (
            &["lab", "--backend", "direct", "--kernel", "/dev/null"],
            "leave --kernel out",
        ),
        (&["lab", "--kernel", "/nonexistent/k"], "/nonexistent/k"),
        (&["lab", "--kernel", "/"], "cannot read kernel /: "),
        (&["boot"], "--kernel"),
        (&["boot", "--kernel", "/nonexistent/k"], "No such file"),
        (&["boot", "--kernel", "/dev/zero"], "/dev/zero"),
        (
            &["boot", "--kernel", "x", "--mem-mib", "3"],
            "3 is not in 4..=65536",
        ),
        (&["boot", "--kernel", "x", "--mem-mib", "65537"], "65537"),
        (
            &["boot", "--kernel", "x", "--cpus", "0"],
            "0 is not in 1..=32",
        ),
        (
            &["boot", "--kernel", "x", "--cpus", "33"],
            "33 is not in 1..=32",
        ),
        (&["boot", "--kernel", "x", "--format", "ktap"], "ktap"),
        (&["list", "--format", "ktap"], "ktap"),
        (&["doctor", "--format", "ktap"], "ktap"),
        (
            &["compare", "/nonexistent/a", "/nonexistent/b"],
            "/nonexistent/a",
        ),
        (&["compare", "a", "b", "--tolerance", "-1"], "-1"),
        (
            &["list", "--out", "/nonexistent/dir/f"],
            "/nonexistent/dir is not a directory",
        ),
        (&["list", "--out", "/"], "cannot write /"),
        (&["list", "--out", ""], "--out"),
    ];
    for (args, part) in cases {
        refused(&call(args), USAGE, &[part]);
    }
    Ok(())
}

fn names_are_suggested() -> Checked {
    for (kind, name, near) in [
        ("workload", "mprotec", "did you mean mprotect"),
        ("workload", "MPROTECT", "did you mean mprotect"),
        ("policy", "generic72", "did you mean generic-7.2"),
        ("policy", "eeger", "did you mean eager"),
        ("policy", "qqqqq", "`xenlet list` shows all"),
        ("workload", "", "`xenlet list` shows all"),
        ("workload", "mprotect,nestt", "did you mean nest"),
    ] {
        let flag = format!("--{kind}");
        refused(
            &call(&["lab", &flag, name]),
            USAGE,
            &["unknown", kind, near],
        );
    }
    // Before the kernel is looked at.
    for (name, near) in [
        ("nope", "`xenlet list` shows all"),
        ("mprotec", "did you mean mprotect"),
        ("munmap,swapped", "did you mean munmap_swapped"),
        ("", "unknown operation \"\""),
        ("depth=0", "unknown operation"),
    ] {
        let measure = ["measure", "--kernel", "/nonexistent", "--operation", name];
        refused(&call(&measure), USAGE, &["unknown operation", near]);
    }
    Ok(())
}

fn help_and_version() -> Checked {
    for args in [&["--help"][..], &["-h"], &["help"], &["--version"]] {
        assert!(result(&call(args)).contains("xenlet"), "{args:?}");
    }
    for command in [
        "lab", "list", "doctor", "boot", "measure", "compare", "bench",
    ] {
        let help = result(&call(&[command, "--help"]));
        assert!(
            help.contains("Usage: xenlet") && help.contains(command),
            "{help}"
        );
        assert_eq!(help, result(&call(&["help", command])), "{command}");
        assert!(help.lines().all(|l| l.chars().count() <= 100), "{help}");
    }
    for (command, flag) in [("lab", "--poison"), ("boot", "--poison")] {
        let help = result(&call(&[command, "--help"]));
        assert!(help.contains(flag), "{command}: {help}");
    }
    let help = result(&call(&["lab", "--help"]));
    for word in [
        "--workload",
        "--policy",
        "--ptes",
        "--batch",
        "--cpus",
        "--backend",
        "linux",
    ] {
        assert!(help.contains(word), "{word}");
    }
    Ok(())
}

fn list_names_everything() -> Checked {
    let table = result(&call(&["list"]));
    let list = json(&call(&["list", "--format", "json"]));
    for (key, flag) in [
        ("workloads", "--workload"),
        ("policies", "--policy"),
        ("operations", "--operation"),
    ] {
        let lines = list[key].as_array().expect("a list");
        assert!(lines.len() >= 9, "{key}");
        assert!(table.contains(flag));
        for line in lines {
            let (name, models) = (&line["name"], &line["models"]);
            let name = name.as_str().expect("a name");
            assert!(
                table.lines().any(|l| l.trim_start().starts_with(name)),
                "{name}"
            );
            assert!(
                models.as_str().is_some_and(|m| !m.is_empty()),
                "{name} models nothing"
            );
        }
    }
    Ok(())
}

fn doctor_reports() -> Checked {
    let table = call(&["doctor"]);
    let code = table.status.code();
    assert!(
        [Some(DONE), Some(HOST)].contains(&code),
        "{code:?}: {}",
        err(&table)
    );
    assert!(out(&table).contains("/dev/kvm"), "{}", out(&table));
    let report = call(&["doctor", "--format", "json"]);
    assert_eq!(report.status.code(), code);
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert!(
        report["schema"]
            .as_str()
            .is_some_and(|s| s.starts_with("xenlet.doctor/"))
    );
    if kvm().is_ok() {
        assert_eq!(code, Some(DONE), "{}", out(&table));
    }
    Ok(())
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(&result(output)).expect("one JSON document")
}

/// A lab run that needs no KVM and is over at once.
const SMALL: [&str; 7] = [
    "lab",
    "--backend",
    "direct",
    "--workload",
    "mprotect,nest",
    "--policy",
    "eager,generic",
];

fn small(more: &[&str]) -> Vec<String> {
    SMALL.iter().chain(more).map(|s| (*s).to_owned()).collect()
}

#[track_caller]
fn call_small(more: &[&str]) -> Output {
    let args = small(more);
    call(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn every_format_parses() -> Checked {
    let report = json(&call_small(&["--format", "json"]));
    assert_eq!(report["schema"], "xenlet.lab/1");
    let rows = report["results"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    let keys = [
        "workload",
        "policy",
        "batch",
        "backend",
        "cpus",
        "ptes",
        "traps",
        "updates",
        "emulated_writes",
        "by_hypercall",
        "batch_sizes",
        "flush_reasons",
        "expected_traps",
        "final_state",
        "verdict",
        "detail",
    ];
    for row in rows {
        for key in keys {
            assert!(row.get(key).is_some(), "no {key} in {row}");
        }
        assert_eq!(
            (&row["final_state"], &row["verdict"]),
            (&"ok".into(), &"pass".into())
        );
    }
    let csv = result(&call_small(&["--format", "csv"]));
    let fields = |line: &str| line.split(',').count();
    let header = csv.lines().next().expect("a header");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(
        fields(header) > 10 && csv.lines().all(|l| fields(l) >= fields(header)),
        "{csv}"
    );
    let ktap = result(&call_small(&["--format", "ktap"]));
    assert!(ktap.starts_with("KTAP version 1\n1..4\n"), "{ktap}");
    assert_eq!(
        ktap.lines().filter(|l| l.starts_with("ok ")).count(),
        4,
        "{ktap}"
    );
    let table = result(&call_small(&[]));
    assert!(
        table.contains("mprotect") && table.contains("generic"),
        "{table}"
    );
    assert!(table.lines().all(|l| l.chars().count() <= 100), "{table}");
    for args in [["list", "--format", "csv"], ["list", "--format", "table"]] {
        result(&call(&args));
    }
    Ok(())
}

fn reports_can_be_compared() -> Checked {
    let dir = Scratch::new();
    let report = call_small(&["--format", "json"]);
    let a = dir.file("a.json", &report.stdout);
    let worse = out(&report).replacen("\"traps\": 17", "\"traps\": 512", 1);
    assert_ne!(worse, out(&report));
    let b = dir.file("b.json", worse.as_bytes());
    for format in ["table", "csv", "ktap", "json"] {
        let same = call(&["compare", &a, &a, "--format", format]);
        assert_eq!(same.status.code(), Some(DONE), "{}", err(&same));
        let regressed = call(&["compare", &a, &b, "--format", format]);
        assert_eq!(
            regressed.status.code(),
            Some(CHECK_FAILED),
            "{}",
            out(&regressed)
        );
    }
    let compared = call(&["compare", &a, &b, "--format", "json"]);
    let _: Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"not json"),
        ("list", b"[]"),
        ("other", b"{\"schema\": \"xenlet.boot/1\"}"),
        ("newer", b"{\"schema\": \"xenlet.lab/2\", \"results\": []}"),
        ("cut", &report.stdout[..report.stdout.len() / 2]),
        ("binary", &[0xff, 0xfe, 0, 0]),
    ] {
        let bad = dir.file(name, bytes);
        refused(&call(&["compare", &a, &bad]), USAGE, &[&bad]);
    }
    Ok(())
}

/// A kernel that powers off at once.
fn good() -> Elf {
    Elf::kernel(|a| {
        a.power_off();
    })
}

/// What is no PV kernel, whoever is asked to run it.
fn no_kernel_is_one_line() -> Checked {
    let dir = Scratch::new();
    let mut bzimage = vec![0; 0x1000];
    bzimage[0x1f1] = 4;
    bzimage[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    bzimage[0x202..0x206].copy_from_slice(b"HdrS");
    bzimage[0x206..0x208].copy_from_slice(&[0x0f, 0x02]);
    let twice = |elf: Elf, paddr: u64, mem_size: u64| {
        let mut elf = elf;
        let mut second = elf.loads[0].clone();
        (second.paddr, second.mem_size) = (paddr, mem_size);
        elf.loads.push(second);
        elf.bytes()
    };
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty", vec![], &[]),
        ("text", b"#!/bin/sh\necho hello\n".to_vec(), &["ELF"]),
        ("elf32", Elf { class: 1, ..good() }.bytes(), &["32-bit"]),
        (
            "arm64",
            Elf {
                machine: 183,
                ..good()
            }
            .bytes(),
            &[],
        ),
        (
            "no_notes",
            Elf {
                notes: vec![],
                ..good()
            }
            .bytes(),
            &["note"],
        ),
        (
            "no_version",
            good().without(elfnote::XEN_VERSION).bytes(),
            &["XEN_VERSION"],
        ),
        (
            "xen_2",
            good().note(elfnote::XEN_VERSION, b"xen-2.0\0").bytes(),
            &["xen-2.0"],
        ),
        (
            "no_loader",
            good().without(elfnote::LOADER).bytes(),
            &["LOADER"],
        ),
        (
            "short_note",
            good().note(elfnote::VIRT_BASE, &[1, 2, 3]).bytes(),
            &["VIRT_BASE"],
        ),
        (
            "feature",
            good()
                .note(elfnote::FEATURES, b"!writable_page_tables|!hot_tub\0")
                .bytes(),
            &[],
        ),
        (
            "no_segments",
            Elf {
                loads: vec![],
                ..good()
            }
            .bytes(),
            &["segment"],
        ),
        (
            "overlap",
            twice(good(), PADDR + 0x1000, 0x1000),
            &["overlap"],
        ),
        ("inside", twice(good(), PADDR, 0x1000), &["overlap"]),
        ("wraps", twice(good(), u64::MAX - 0xfff, 0x2000), &[]),
        (
            "endless",
            good().load(|l| l.mem_size = u64::MAX).bytes(),
            &[],
        ),
        (
            "file_over_memory",
            good().load(|l| l.mem_size = 1).bytes(),
            &[],
        ),
        ("bzimage", bzimage, &["bzImage"]),
        (
            "huge_base",
            good()
                .note(elfnote::VIRT_BASE, &u64::MAX.to_le_bytes())
                .bytes(),
            &[],
        ),
    ];
    for (name, bytes, parts) in cases {
        let file = dir.file(name, bytes);
        let parts: Vec<&str> = [&[file.as_str()], *parts].concat();
        refused(&call(&["boot", "--kernel", &file]), USAGE, &parts);
        refused(&call(&["lab", "--kernel", &file]), USAGE, &parts);
    }
    Ok(())
}

/// A file cut anywhere is bad input, or what is left of it is a kernel.
fn kernels_cut_short() -> Checked {
    let dir = Scratch::new();
    let whole = good().bytes();
    let cuts = (0..whole.len()).step_by(16).chain([whole.len() - 1]);
    for cut in cuts {
        let file = dir.file(&format!("cut_{cut}"), &whole[..cut]);
        refused(&call(&["boot", "--kernel", &file]), USAGE, &[&file]);
    }
    let built_in = xenlet::lab::GUEST;
    for cut in [1, 63, 64, 4096] {
        let file = dir.file("cut", &built_in[..cut]);
        refused(&call(&["lab", "--kernel", &file]), USAGE, &[&file]);
    }
    Ok(())
}

/// Kernels that are kernels, but not for the machine asked for.
fn kernels_that_do_not_fit() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let at = |paddr: u64| good().load(|l| l.paddr = paddr).bytes();
    let mut beyond = good().load(|l| l.paddr = 100 << 20);
    beyond.entry = BASE + (100 << 20);
    let beyond = beyond.bytes();
    let big = dir.file("initrd", &vec![0; 9 << 20]);
    let cases: &[Case<'_>] = &[
        (
            "big",
            good().load(|l| l.mem_size = 64 << 20).bytes(),
            &[],
            &["8 MiB"],
        ),
        ("far", at(1 << 40), &[], &["out of range"]),
        ("beyond", beyond, &[], &["MiB"]),
        (
            "entry",
            Elf {
                entry: BASE,
                ..good()
            }
            .bytes(),
            &[],
            &["entry"],
        ),
        (
            "entry_odd",
            Elf {
                entry: 1 << 47,
                ..good()
            }
            .bytes(),
            &[],
            &["entry"],
        ),
        ("hypercall_page", page(BASE), &[], &["hypercall page"]),
        (
            "hypercall_page_odd",
            page(BASE + PADDR + 8),
            &[],
            &["hypercall page"],
        ),
        ("hole", based(0xffff_8000_0000_0000), &[], &[]),
        ("not_canonical", based(0x7fff_ffff_0000), &[], &[]),
        ("p2m_in_hole", p2m(0xffff_8080_0000_0000), &[], &[]),
        ("p2m_odd", p2m(0x7fff_ffff_ffff), &[], &[]),
        (
            "initrd_missing",
            good().bytes(),
            &["--initrd", "/nonexistent/i"],
            &["/nonexistent/i"],
        ),
        (
            "initrd_big",
            good().bytes(),
            &["--initrd", &big],
            &["initrd", "9 MiB", "8 MiB"],
        ),
        (
            "cmdline",
            good().bytes(),
            &["--cmdline", &"x".repeat(1024)],
            &["1024 bytes"],
        ),
    ];
    for (name, bytes, more, parts) in cases {
        let file = dir.file(name, bytes);
        let args = [&["boot", "--mem-mib", "8", "--kernel", &file], *more].concat();
        refused(&call(&args), USAGE, parts);
    }
    let file = dir.file("cmdline", &good().bytes());
    let longest = call(&boot(&file, &["--cmdline", &"x".repeat(1023)]));
    assert_eq!(longest.status.code(), Some(DONE), "{}", err(&longest));
    Ok(())
}

fn page(at: u64) -> Vec<u8> {
    good()
        .note(elfnote::HYPERCALL_PAGE, &at.to_le_bytes())
        .bytes()
}

fn based(at: u64) -> Vec<u8> {
    let entry = at.wrapping_add(PADDR);
    Elf { entry, ..good() }
        .note(elfnote::VIRT_BASE, &at.to_le_bytes())
        .bytes()
}

fn p2m(at: u64) -> Vec<u8> {
    good().note(elfnote::INIT_P2M, &at.to_le_bytes()).bytes()
}

/// Runs `xenlet` where `setup`, a line of shell, has changed /dev in a mount namespace of its own.
fn in_a_namespace(setup: &str, args: &[&str]) -> Result<Output, Skip> {
    let script = format!("{setup} && shift 0 && exec \"$0\" \"$@\"");
    let inside = |rest: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .args(rest);
        command.timeout(LIMIT).output()
    };
    let tried = inside(&[&format!("{setup} && exit 0")]);
    if !tried.is_ok_and(|o| o.status.success()) {
        return Err(Skip("no mount namespace of one's own".to_owned()));
    }
    let program = text(xenlet());
    let ran = inside(&[&[script.as_str(), program.as_str()], args].concat());
    Ok(ran.expect("it ran a moment ago"))
}

/// What a host that cannot run guests says, and what works there all the same.
fn unfit_host(setup: &str, parts: &[&str]) -> Checked {
    let dir = Scratch::new();
    let kernel = dir.file("k", &good().bytes());
    for args in [&["lab"][..], &["boot", "--kernel", &kernel], &[]] {
        refused(&in_a_namespace(setup, args)?, HOST, parts);
    }
    let doctor = in_a_namespace(setup, &["doctor"])?;
    assert_eq!(doctor.status.code(), Some(HOST), "{}", err(&doctor));
    assert!(out(&doctor).contains("/dev/kvm"), "{}", out(&doctor));
    let report = dir.path("r.json");
    let report = in_a_namespace(setup, &["lab", "--out", &text(&report)])?;
    assert_eq!(report.status.code(), Some(HOST));
    assert_eq!(dir.names(), ["k"], "something was left behind");
    let direct = small(&[]);
    let direct: Vec<&str> = direct.iter().map(String::as_str).collect();
    result(&in_a_namespace(setup, &direct)?);
    Ok(())
}

fn no_device() -> Checked {
    unfit_host(
        "mount -t tmpfs none /dev",
        &["/dev/kvm does not exist", "--backend direct"],
    )
}

fn another_device() -> Checked {
    kvm()?;
    unfit_host("mount --bind /dev/null /dev/kvm", &["/dev/kvm"])
}

fn no_permission() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let program = dir.path("xenlet");
    fs::copy(xenlet(), &program).expect("room for a copy");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let dropped = nobody
        .args(["test", "!", "-r", "/dev/kvm"])
        .timeout(LIMIT)
        .output();
    if !dropped.is_ok_and(|o| o.status.success()) {
        return Err(Skip(
            "no way to be a user without rights to /dev/kvm".to_owned(),
        ));
    }
    let mut nobody = Command::new("setpriv");
    nobody
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program);
    let output = nobody
        .arg("lab")
        .timeout(LIMIT)
        .output()
        .expect("it ran a moment ago");
    refused(
        &output,
        HOST,
        &["no permission", "group kvm", "--backend direct"],
    );
    Ok(())
}

fn out_is_whole_or_nothing() -> Checked {
    let dir = Scratch::new();
    let file = text(&dir.path("r.json"));
    let failing: &[&[&str]] = &[
        &["lab", "--workload", "nothing"],
        &["lab", "--kernel", "/nonexistent/k"],
        &["compare", "/nonexistent/a", "/nonexistent/b"],
    ];
    for args in failing {
        assert_eq!(
            call(&[args, &["--out", &file][..]].concat()).status.code(),
            Some(USAGE)
        );
        assert_eq!(dir.names(), [""; 0], "{args:?}");
    }
    let written = call_small(&["--format", "json", "--out", &file]);
    assert_eq!(
        (written.status.code(), out(&written)),
        (Some(DONE), String::new())
    );
    let first = fs::read_to_string(&file).expect("written");
    let _: Value = serde_json::from_str(&first).expect("JSON");
    for args in failing {
        call(&[args, &["--out", &file][..]].concat());
        assert_eq!(
            fs::read_to_string(&file).ok().as_deref(),
            Some(first.as_str())
        );
    }
    // A link stays a link, a device a device.
    let link = dir.path("link");
    std::os::unix::fs::symlink(&file, &link).expect("our own directory");
    assert_eq!(
        call(&["list", "--out", &text(&link)]).status.code(),
        Some(DONE)
    );
    assert_eq!(
        call(&["list", "--out", "/dev/null"]).status.code(),
        Some(DONE)
    );
    let mut names = dir.names();
    names.sort();
    assert_eq!(names, ["link", "r.json"]);
    Ok(())
}

/// Starts it with pipes, or what `stdout` is.
fn start(args: &[&str], stdout: Stdio) -> Child {
    let mut command = process::Command::new(xenlet());
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped());
    command.spawn().expect("it was built")
}

/// Waits for its end; it must come within `limit`.
#[track_caller]
fn ends(mut child: Child, limit: Duration) -> Output {
    let start = Instant::now();
    loop {
        if let Some(_status) = child.try_wait().expect("our own child") {
            return child.wait_with_output().expect("our own child");
        }
        if start.elapsed() > limit {
            // It is still there: it can be killed.
            let _ = child.kill();
            let said = child.wait_with_output().expect("our own child");
            panic!("still running after {limit:?}; said {:?}", err(&said));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn readers_that_leave() -> Checked {
    for args in [&["list"][..], &["--help"], &["lab", "--help"], &["doctor"]] {
        let mut child = start(args, Stdio::piped());
        drop(child.stdout.take());
        let output = ends(child, LIMIT);
        assert!(
            matches!(output.status.code(), Some(DONE | HOST)),
            "{args:?}: {}",
            err(&output)
        );
        assert_eq!(err(&output), "", "{args:?}");
    }
    let args = small(&["--format", "json"]);
    let mut child = start(
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        Stdio::piped(),
    );
    drop(child.stdout.take());
    let output = ends(child, LIMIT);
    assert_eq!(
        (output.status.code(), err(&output)),
        (Some(DONE), String::new())
    );
    // Nobody hears the complaint: the exit code stays.
    let mut child = start(&["lab", "--ptes", "0"], Stdio::piped());
    drop(child.stderr.take());
    assert_eq!(ends(child, LIMIT).status.code(), Some(USAGE));
    Ok(())
}

fn full_devices() -> Checked {
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .map(Stdio::from)
    };
    let Ok(stdout) = full() else {
        return Err(Skip("no /dev/full".to_owned()));
    };
    let output = ends(start(&["list"], stdout), LIMIT);
    refused(&output, USAGE, &["cannot write to stdout"]);
    let mut command = process::Command::new(xenlet());
    command
        .args(["lab", "--ptes", "0"])
        .stderr(full().expect("opened a moment ago"));
    assert_eq!(command.status().expect("it was built").code(), Some(USAGE));
    refused(
        &call(&["list", "--out", "/dev/full"]),
        USAGE,
        &["/dev/full"],
    );
    Ok(())
}

fn boot<'a>(kernel: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["boot", "--mem-mib", "8", "--kernel", kernel], more].concat()
}

fn a_guest_that_powers_off() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let hello = Elf::kernel(|a| {
        a.hypercall(Nr::ConsoleIo, &[0, 6, BASE + PADDR + 0x3000])
            .power_off();
    });
    let hello = hello.load(|l| {
        l.data.resize(0x3000, 0);
        l.data.extend(b"hello\n");
    });
    let kernel = dir.file("k", &hello.bytes());
    let stats = text(&dir.path("s.json"));
    let output = call(&boot(&kernel, &["--stats", &stats]));
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(DONE), "hello\n")
    );
    let stats = fs::read_to_string(&stats).expect("written");
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["schema"], "xenlet.boot/1");
    Ok(())
}

/// The guest powers off if its argument was destroyed, and crashes if not. The lab's guest relies on
/// nothing: its counts are the same.
fn poison_shows_what_a_guest_relies_on() -> Checked {
    let lab = [
        "lab",
        "--backend",
        "direct",
        "--workload",
        "nest",
        "--format",
        "csv",
    ];
    let poisoned = [&lab[..], &["--poison"]].concat();
    assert_eq!(out(&call(&poisoned)), out(&call(&lab)));
    kvm()?;
    let relies = Elf::kernel(|a| {
        let destroyed = a.label();
        a.hypercall(Nr::XenVersion, &[0]);
        // test %rdi,%rdi; ud2
        a.bytes(&[0x48, 0x85, 0xff]).jnz(destroyed);
        a.bytes(&[0x0f, 0x0b]).bind(destroyed).power_off();
    });
    let dir = Scratch::new();
    let kernel = dir.file("k", &relies.bytes());
    let code = |more: &[&str]| call(&boot(&kernel, more)).status.code();
    assert_eq!(
        (code(&[]), code(&["--poison"])),
        (Some(CRASHED), Some(DONE))
    );
    Ok(())
}

fn a_guest_that_crashes() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let crash = Elf::kernel(|a| {
        a.mov(Rdi, 1)
            .mov(Rsi, 2)
            .mov(Rax, 40)
            .syscall()
            .hypercall(Nr::XenVersion, &[0]);
        a.mov(Rax, 0x1234_5000).store(Rax, Rax, 0);
    });
    let kernel = dir.file("k", &crash.bytes());
    let output = call(&boot(&kernel, &[]));
    assert_eq!(
        (output.status.code(), out(&output)),
        (Some(CRASHED), String::new())
    );
    let dump = err(&output);
    for part in [
        "exception 14",
        "0x12345000",
        "rip ",
        "r15 ",
        "unknown 0x28(0x1, 0x2",
        "xen_version(0x0",
        "page walk of cr2 0x12345000",
        "L4 entry",
    ] {
        assert!(dump.contains(part), "no {part:?} in\n{dump}");
    }
    // Takes its own tables away: nothing can be walked, and that is said.
    let lost = Elf::kernel(|a| {
        a.hypercall(
            Nr::MmuextOp,
            &[BASE + PADDR + 0x1000, 1, 0, u64::from(DOMID_SELF)],
        )
        .spin();
    });
    let lost = lost.load(|l| {
        l.data.resize(0x1000, 0);
        l.data.extend(u64::from(MMUEXT_NEW_BASEPTR).to_le_bytes());
        l.data.extend(2000u64.to_le_bytes());
        l.mem_size = 0x8000;
    });
    let kernel = dir.file("lost", &lost.bytes());
    let output = call(&boot(&kernel, &["--time-limit", "2"]));
    assert!(
        matches!(output.status.code(), Some(CRASHED | TIME_LIMIT)),
        "{}",
        err(&output)
    );
    Ok(())
}

/// Its last words are shown and reported, without -v.
fn a_lab_guest_that_panics() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let words = b"booting\nkernel panic: no luck\n";
    let (said, reason) = (BASE + PADDR + 0x3000, BASE + PADDR + 0x3800);
    let panics = Elf::kernel(|a| {
        a.hypercall(Nr::ConsoleIo, &[0, words.len() as u64, said])
            .hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_SHUTDOWN), reason]);
    });
    let panics = panics.load(|l| {
        l.data.resize(0x3000, 0);
        l.data.extend(words);
        l.data.resize(0x3800, 0);
        l.data.extend(SHUTDOWN_CRASH.to_le_bytes());
    });
    let kernel = dir.file("k", &panics.bytes());
    let output = call(&["lab", "--kernel", &kernel, "--format", "json"]);
    assert_eq!(output.status.code(), Some(CRASHED), "{}", err(&output));
    let how = "the guest crashed on vCPU 0: it reported a crash itself: kernel panic: no luck";
    let dump = err(&output);
    for part in [how, "  console: booting\n", "last hypercalls"] {
        assert!(dump.contains(part), "{part}: {dump}");
    }
    let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert_eq!(report["results"][0]["detail"], how);
    Ok(())
}

/// A kernel that does nothing, for ever.
fn spin() -> Elf {
    Elf::kernel(|a| {
        a.spin();
    })
}

fn a_guest_that_runs_on() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let kernel = dir.file("k", &spin().bytes());
    for more in [
        &["--time-limit", "1"][..],
        &["--time-limit", "1", "--cpus", "4"],
    ] {
        let output = ends(start(&boot(&kernel, more), Stdio::piped()), PROMPTLY);
        assert_eq!(output.status.code(), Some(TIME_LIMIT), "{}", err(&output));
        assert_eq!(err(&output).lines().count(), 1, "{}", err(&output));
    }
    let lab = ["lab", "--kernel", &kernel, "--time-limit", "1"];
    let output = ends(start(&lab, Stdio::piped()), PROMPTLY);
    refused(&output, TIME_LIMIT, &["1 s", "--time-limit"]);
    Ok(())
}

/// A guest of the lab that crashes, or ends, without a result.
fn a_lab_guest_that_does_not_measure() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let crash = Elf::kernel(|a| {
        a.bytes(&[0x0f, 0x0b]);
    });
    for (name, elf, code, verdict) in [
        ("crash", crash, CRASHED, "crash"),
        ("ends", good(), CHECK_FAILED, "error"),
    ] {
        let kernel = dir.file(name, &elf.bytes());
        let args = [
            "lab",
            "--format",
            "json",
            "--workload",
            "nest",
            "--kernel",
            &kernel,
        ];
        let output = call(&args);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", err(&output));
        assert_eq!(err(&output).contains("rip "), code == CRASHED, "a dump");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = report["results"].as_array().expect("rows");
        assert_eq!(rows[0]["verdict"], verdict, "{name}");
        assert!(rows.iter().all(|r| r["verdict"] != "pass"), "{report}");
    }
    Ok(())
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = process::Command::new("kill")
        .args(["-s", name, &id])
        .status();
    assert!(sent.is_ok_and(|s| s.success()), "kill -s {name}");
}

/// Ctrl-C and its like: the run ends, leaves no file and says nothing confusing.
fn signals_end_a_run() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let kernel = dir.file("k", &spin().bytes());
    let file = text(&dir.path("r.json"));
    let lab = [
        "lab", "--kernel", &kernel, "--format", "json", "--out", &file,
    ];
    let quiet = boot(&kernel, &["--cpus", "2"]);
    for args in [&lab[..], &quiet] {
        for name in ["INT", "TERM", "HUP"] {
            let child = start(args, Stdio::piped());
            std::thread::sleep(Duration::from_millis(300));
            signal(&child, name);
            let output = ends(child, PROMPTLY);
            let said = err(&output);
            assert!(
                said.lines().count() <= 1 && !said.contains("panicked"),
                "{said}"
            );
            assert_ne!(output.status.code(), Some(CRASHED), "{said}");
            assert_eq!(out(&output), "");
            assert_eq!(dir.names(), ["k"], "something was left behind");
        }
    }
    let direct = small(&["--ptes", "8192", "--out", &file]);
    let child = start(
        &direct.iter().map(String::as_str).collect::<Vec<_>>(),
        Stdio::piped(),
    );
    signal(&child, "INT");
    ends(child, PROMPTLY);
    assert!(
        dir.names().iter().all(|n| n == "k" || n == "r.json"),
        "{:?}",
        dir.names()
    );
    Ok(())
}

/// A reader that does not read must not keep the time limit or a signal from ending the run.
fn a_console_nobody_reads() -> Checked {
    kvm()?;
    let dir = Scratch::new();
    let flood = Elf::kernel(|a| {
        let again = a.mark();
        a.hypercall(Nr::ConsoleIo, &[0, 0x4000, BASE + PADDR])
            .jmp(again);
    });
    let kernel = dir.file("k", &flood.bytes());
    let child = start(&boot(&kernel, &["--time-limit", "1"]), Stdio::piped());
    let output = ends_unread(child);
    assert_eq!(output, Some(TIME_LIMIT));
    let child = start(&boot(&kernel, &["--cpus", "2"]), Stdio::piped());
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "INT");
    assert_eq!(ends_unread(child), Some(DONE));
    // A reader that leaves: the guest goes on without a console.
    let mut child = start(&boot(&kernel, &["--time-limit", "1"]), Stdio::piped());
    drop(child.stdout.take());
    assert_eq!(ends(child, PROMPTLY).status.code(), Some(TIME_LIMIT));
    assert!(Path::new(&kernel).exists());
    Ok(())
}

/// As [`ends`], the output left in its pipe.
#[track_caller]
fn ends_unread(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < PROMPTLY {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // It is still there: it can be killed.
    let _ = child.kill();
    let _ = child.wait();
    panic!("still running after {PROMPTLY:?}");
}
