//! Unmodified Linux kernels, measured: what `xenlet measure` counts on Debian's, and what
//! `xenlet compare` says of two. Comes in: the samples in `data/`; images, fetched where they are not
//! here yet: 6.1, 6.12 and 7.2, or what `XENLET_LINUX` says. `all` is 7.3-rc too, and every operation
//! measured twice. What this machine cannot run or fetch is skipped and counted.

use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};
use std::sync::Mutex;
use std::time::Duration;
use tests::elf::Elf;
use tests::runner::{self, Check, Checked, Skip};
use tests::{binary, guests, runs};
use xenlet::images::Cache;

const SAMPLE_6_12: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/measure-6.12.json");
const SAMPLE_7_2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/measure-7.2.json");

fn main() -> ExitCode {
    runner::main(vec![
        Check::new("samples/say-what-was-lost", samples),
        Check::new("samples/nothing-to-say", nothing_to_say),
        Check::new("samples/refused", refused),
        Check::new("symbols/another-kernels", another_kernels_symbols),
        Check::new("kernels/6.1-batches", || batches("debian-6.1")),
        Check::new("kernels/6.12-batches", || batches("debian-6.12")),
        Check::new("kernels/7.2-does-not", || lost("debian-7.2", "0,255")),
        Check::new("kernels/7.3-rc-does-not", || lost("debian-7.3-rc", "0")),
        Check::new("kernels/7.2-batches-at-depth-255", deep),
        Check::new("kernels/compare", compared),
        Check::new("kernels/again", again),
        Check::new("kernels/trace", traced),
        Check::new("kernels/no-runner", no_runner),
        Check::new("everything/6.12-again", || everything_again("debian-6.12")).within(LONG),
        Check::new("everything/7.2-again", || everything_again("debian-7.2")).within(LONG),
    ])
}

fn xenlet(args: &[&str]) -> Output {
    binary::run(binary::xenlet(), args)
}

fn stdout(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn stderr(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("measure");
    fs::create_dir_all(&dir).expect("writable");
    dir.join(name)
}

const OPERATIONS: &str = "nothing,mprotect,munmap,munmap_markers,madvise_free";
/// Two measurements of everything.
const LONG: Duration = Duration::from_secs(1800);

/// Whether `image` is to be measured. 6.12 is quick, and without it there is nothing to compare.
fn wanted(image: &str) -> Result<(), Skip> {
    let unsaid = env::var_os(guests::LINUX).is_none_or(|v| v.is_empty());
    match guests::chosen().iter().any(|name| name == image) || unsaid && image == "debian-6.12" {
        true => guests::ready(image),
        false => Err(Skip(format!("{image} is not among {}", guests::LINUX))),
    }
}

fn all_is_wanted() -> Result<(), Skip> {
    match env::var(guests::LINUX).is_ok_and(|v| v == "all") {
        true => Ok(()),
        false => Err(Skip(format!("every operation takes {}=all", guests::LINUX))),
    }
}

fn fetched(image: &str) -> Result<PathBuf, Skip> {
    wanted(image)?;
    let cache = Cache::of_user().map_err(|e| Skip(e.to_string()))?;
    let found = cache.get(image).map(|fetched| fetched.file);
    found.ok_or_else(|| Skip(format!("{image} was not fetched")))
}

/// Measures `image` once for each `name`; the report's file.
fn measured(image: &str, name: &str, depths: &str) -> Result<String, Skip> {
    static DONE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    wanted(image)?;
    let file = scratch(&format!("{name}.json")).display().to_string();
    let mut done = DONE.lock().unwrap_or_else(|e| e.into_inner());
    if done.contains_key(name) {
        return Ok(file);
    }
    let what = ["measure", "--image", image, "--depth", depths];
    let operations = ["--operation", OPERATIONS];
    let trace = trace_of(name).display().to_string();
    let out = ["--format", "json", "--out", &file, "--trace", &trace];
    let ran = xenlet(&[&what[..], &operations, &out].concat());
    assert_eq!(ran.status.code(), Some(0), "{image}: {}", stderr(&ran));
    done.insert(name.to_owned(), file.clone());
    Ok(file)
}

/// Where [`measured`] leaves the time line.
fn trace_of(name: &str) -> PathBuf {
    scratch(&format!("{name}.trace.json"))
}

fn read(file: &str) -> Value {
    let text = fs::read_to_string(file).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

/// The row of an operation on 512 pages.
fn row(report: &Value, operation: &str, depth: u64) -> Value {
    let rows = report["results"].as_array().expect("rows");
    let found = rows
        .iter()
        .find(|r| r["operation"] == operation && r["pages"] == 512 && r["depth"] == depth);
    found
        .cloned()
        .unwrap_or_else(|| panic!("no row for {operation} at depth {depth}"))
}

/// The same in all repetitions.
fn traps(row: &Value) -> u64 {
    let spread = &row["traps"];
    assert_eq!(spread["min"], spread["max"], "{row}");
    assert_eq!(row["deterministic"], true, "{row}");
    spread["median"].as_u64().expect("a number")
}

/// 512 updates in ⌈512/31⌉ traps, and a few: the TLB flush.
fn is_batched(row: &Value) {
    let traps = traps(row);
    assert!((17..=20).contains(&traps), "{traps} traps: {row}");
    assert_eq!(row["updates"]["median"], 512, "{row}");
    assert_eq!(row["batch_sizes"]["31"], 16, "{row}");
    assert_eq!(row["winnable"], 0, "{row}");
    assert_eq!(row["sites_dropped"], 0, "{row}");
}

/// Every chain leads to the function that changes the protection of a page table's entries; older
/// compilers have it inside its caller.
fn is_by_change_protection(row: &Value) {
    let sites = row["sites"].as_array().expect("sites");
    for site in sites.iter().filter(|s| s["updates"] != 0) {
        let function = site["function"].as_str().unwrap_or_default();
        let known = ["change_pte_range", "change_protection"];
        assert!(known.contains(&function), "{site}");
    }
}

fn batches(image: &str) -> Checked {
    let report = read(&measured(image, image, "0")?);
    let mprotect = row(&report, "mprotect", 0);
    is_batched(&mprotect);
    is_by_change_protection(&mprotect);
    is_batched(&row(&report, "madvise_free", 0));
    let munmap = row(&report, "munmap", 0);
    assert_eq!(munmap["emulated_writes"]["median"], 512, "{munmap}");
    // And the table that is freed: unpinned, and its entry one above.
    let markers = row(&report, "munmap_markers", 0);
    let least = markers["traps"]["min"].as_u64();
    assert!(least.is_some_and(|n| (17..=20).contains(&n)), "{markers}");
    assert_eq!(markers["updates"]["median"], 512 + 2, "{markers}");
    assert_eq!(markers["emulated_writes"]["median"], 0, "{markers}");
    Ok(())
}

fn lost(image: &str, depths: &str) -> Checked {
    let report = read(&measured(image, image, depths)?);
    assert_eq!(report["kernel"]["symbols"], "kallsyms");
    let mprotect = row(&report, "mprotect", 0);
    let traps = traps(&mprotect);
    assert!((512..=516).contains(&traps), "{traps} traps: {mprotect}");
    assert_eq!(mprotect["batch_sizes"]["1"], 512, "{mprotect}");
    assert_eq!(mprotect["winnable"], 512 - 17, "{mprotect}");
    let markers = row(&report, "munmap_markers", 0);
    assert!(
        markers["batch_sizes"]["1"].as_u64() >= Some(512),
        "{markers}"
    );
    is_by_change_protection(&mprotect);
    Ok(())
}

/// The 256th generation of tasks has no pause left over.
fn deep() -> Checked {
    let report = read(&measured("debian-7.2", "debian-7.2", "0,255")?);
    is_batched(&row(&report, "mprotect", 255));
    Ok(())
}

fn compared() -> Checked {
    let a = measured("debian-6.12", "debian-6.12", "0")?;
    says_what_was_lost(&a, &measured("debian-7.2", "debian-7.2", "0,255")?);
    Ok(())
}

fn again() -> Checked {
    let a = measured("debian-6.12", "debian-6.12", "0")?;
    let b = measured("debian-6.12", "debian-6.12-again", "0")?;
    let ran = xenlet(&["compare", &a, &b]);
    assert_eq!(ran.status.code(), Some(0), "{}", stdout(&ran));
    assert!(stdout(&ran).contains(": 0 worse,"), "{}", stdout(&ran));
    Ok(())
}

/// Every operation at every depth, twice: `compare` has nothing to say.
fn everything_again(image: &str) -> Checked {
    all_is_wanted()?;
    wanted(image)?;
    let run = |name: &str| {
        let file = scratch(&format!("{image}-{name}.json"))
            .display()
            .to_string();
        let out = ["--image", image, "--format", "json", "--out", &file];
        let ran = xenlet(&[&["measure"][..], &out].concat());
        assert_eq!(ran.status.code(), Some(0), "{image}: {}", stderr(&ran));
        file
    };
    let ran = xenlet(&["compare", &run("all"), &run("all-again")]);
    assert_eq!(ran.status.code(), Some(0), "{}", stdout(&ran));
    assert_eq!(stdout(&ran).lines().count(), 1, "{}", stdout(&ran));
    Ok(())
}

/// What `--trace` leaves: on each line events in the order of their times, hypercalls inside the
/// operations they belong to, and as many as were counted.
fn traced() -> Checked {
    let report = read(&measured("debian-7.2", "debian-7.2", "0,255")?);
    let trace = read(&trace_of("debian-7.2").display().to_string());
    assert_eq!(trace["otherData"]["dropped"], 0);
    let events = trace["traceEvents"].as_array().expect("events");
    let of = |cat: &str| events.iter().filter(|e| e["cat"] == cat).collect();
    let (operations, calls): (Vec<&Value>, Vec<&Value>) = (of("operation"), of("hypercall"));
    in_order(&operations);
    in_order(&calls);
    let inside = |call: &Value, operation: &Value| {
        let ((from, to), (begin, end)) = (times(call), times(operation));
        from >= begin && to <= end
    };
    for call in &calls {
        let around = operations.iter().filter(|o| inside(call, o));
        assert_eq!(around.count(), 1, "{call}");
    }
    let name = "mprotect 512 @0 #0";
    let operation = operations.iter().find(|o| o["name"] == name);
    let operation = operation.expect("an operation by its name");
    let updates = calls.iter().filter(|c| inside(c, operation));
    let updates = updates.filter(|c| c["args"]["updates"] != 0).count() as u64;
    assert_eq!(row(&report, "mprotect", 0)["batch_sizes"]["1"], updates);
    Ok(())
}

/// When an event began and ended.
fn times(event: &Value) -> (f64, f64) {
    let number = |key: &str| event[key].as_f64().expect("a number");
    // Times are in µs with three digits: sums of them are not exact beyond.
    (number("ts"), number("ts") + number("dur") - 0.0005)
}

fn in_order(events: &[&Value]) {
    assert!(!events.is_empty());
    for pair in events.windows(2) {
        let ((_, end), (begin, _)) = (times(pair[0]), times(pair[1]));
        assert!(end <= begin, "{pair:?}");
    }
}

/// Guests that are no Linux, or never come to the runner: why there is no measurement is the first
/// line on stderr, the report has it too.
fn no_runner() -> Checked {
    runs::kvm()?;
    let ends = Elf::kernel(|a| {
        a.power_off();
    });
    let crashes = Elf::kernel(|a| {
        a.bytes(&[0x0f, 0x0b]);
    });
    let spins = Elf::kernel(|a| {
        a.spin();
    });
    for (name, elf, code, words) in [
        ("ends", ends, 4, "the kernel did not run the runner"),
        ("crashes", crashes, 4, "the guest crashed on vCPU 0"),
        ("spins", spins, 5, "the time limit passed"),
    ] {
        let kernel = scratch(name).display().to_string();
        fs::write(&kernel, elf.bytes()).expect("writable");
        let measure = ["measure", "--kernel", &kernel, "--time-limit", "2"];
        let ran = xenlet(&[&measure[..], &["--format", "json"]].concat());
        assert_eq!(ran.status.code(), Some(code), "{name}: {}", stderr(&ran));
        assert!(stderr(&ran).starts_with(words), "{name}: {}", stderr(&ran));
        let report: Value = serde_json::from_str(&stdout(&ran)).expect("JSON");
        let detail = report["detail"].as_str().expect("text");
        assert_eq!(stderr(&ran).trim_end(), detail, "{name}");
        assert_eq!(report["runner"], Value::Null, "{name}");
        let table = xenlet(&measure);
        assert!(
            !stdout(&table).contains(words),
            "{name}: said once is enough"
        );
    }
    Ok(())
}

fn says_what_was_lost(a: &str, b: &str) {
    let ran = xenlet(&["compare", a, b, "--format", "json"]);
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
    let json: Value = serde_json::from_str(&stdout(&ran)).expect("JSON");
    let first = &json["rows"][0];
    assert_eq!(first["reason"], "lost_batching", "{first}");
    assert_eq!(first["operation"], "mprotect", "{first}");
    assert_eq!(
        first["b"]["site"]["function"], "change_pte_range",
        "{first}"
    );
    let cause = json["causes"][0].as_str().expect("a line");
    let lost = "lazy batching inactive: batch size 1 where 31 was: ";
    assert!(
        cause.starts_with(lost) && cause.contains("change_pte_range"),
        "{cause}"
    );
    let ran = xenlet(&["compare", a, b, "--format", "markdown"]);
    let text = stdout(&ran);
    assert!(
        text.contains("| mprotect 512 | 18 | 513 | 28.50x | batching lost |"),
        "{text}"
    );
}

fn samples() -> Checked {
    says_what_was_lost(SAMPLE_6_12, SAMPLE_7_2);
    Ok(())
}

fn nothing_to_say() -> Checked {
    let ran = xenlet(&["compare", SAMPLE_7_2, SAMPLE_7_2]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(stdout(&ran).lines().count(), 1, "{}", stdout(&ran));
    // The other way round it is better, which is no failure.
    let ran = xenlet(&["compare", SAMPLE_7_2, SAMPLE_6_12]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    Ok(())
}

fn refused() -> Checked {
    let says = |b: &str, words: &str| {
        let ran = xenlet(&["compare", SAMPLE_6_12, b]);
        assert_eq!(ran.status.code(), Some(2), "{words}: {}", stdout(&ran));
        assert!(stderr(&ran).contains(words), "{words}: {}", stderr(&ran));
    };
    let changed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut report = read(SAMPLE_7_2);
        change(&mut report);
        let file = scratch(name);
        fs::write(&file, report.to_string()).expect("writable");
        file.display().to_string()
    };
    let version = changed("runner.json", &|r| r["runner"]["version"] = 99.into());
    says(&version, "by xenlet-init 99");
    let none = changed("none.json", &|r| r["runner"] = Value::Null);
    says(&none, "no runner ran");
    let cpus = changed("cpus.json", &|r| r["guest"]["cpus"] = 2.into());
    says(&cpus, "of 2");
    let schema = changed("schema.json", &|r| r["schema"] = "xenlet.measure/9".into());
    says(&schema, "xenlet.measure/9");
    let cut = changed("cut.json", &|r| r["results"] = 7.into());
    says(&cut, "cut.json:1:");
    let lab = scratch("lab.json").display().to_string();
    let run = [
        "lab",
        "--backend",
        "direct",
        "--workload",
        "mprotect",
        "--policy",
        "generic",
    ];
    let ran = xenlet(&[&run[..], &["--format", "json", "--out", &lab]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    says(&lab, "is a lab report");
    Ok(())
}

/// A System.map of another build is found out before anything runs.
fn another_kernels_symbols() -> Checked {
    let kernel = fetched("debian-6.12")?.display().to_string();
    let refused = |name: &str, map: &str, words: &str| {
        let file = scratch(name);
        fs::write(&file, map).expect("writable");
        let file = file.display().to_string();
        let ran = xenlet(&["measure", "--kernel", &kernel, "--symbols", &file]);
        assert_eq!(ran.status.code(), Some(2), "{words}: {}", stderr(&ran));
        assert!(stderr(&ran).contains(words), "{words}: {}", stderr(&ran));
    };
    let text = "ffffffff81000000 T _text\n";
    refused(
        "banner.map",
        &format!("{text}ffffffff82000000 R linux_banner\n"),
        "no banner",
    );
    let moved = "ffffffff81234567 T do_mprotect_pkey\nffffffff81234589 T copy_page_range\n";
    refused("moved.map", &format!("{text}{moved}"), "lie elsewhere");
    refused(
        "none.map",
        "no symbols here at all\n",
        "neither a System.map nor",
    );
    Ok(())
}
