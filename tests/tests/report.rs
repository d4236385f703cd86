//! `xenlet report --html` as a browser shows it: the numbers on the page are those in the reports,
//! in tables and in charts, a phone needs no sideways scrolling, and everything can be read in the
//! light and in the dark. What is refused is refused in one line, and leaves what was there alone.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{ExitCode, Output};
use tests::browser::{Browser, Look};
use tests::runner::{self, Check, Checked};
use tests::scratch::{Scratch, text};
use tests::{binary, measured};
use xenlet::report::measure::{MeasureReport, OperationRow, Spread, Status};
use xenlet::report::{LabReport, json};

/// What the page shows, as a reader would find it.
const LOOK: &str = include_str!("report/look.js");

const DESK: Look = Look {
    width: 1280,
    dark: false,
};
const PHONE: Look = Look {
    width: 390,
    dark: false,
};

fn main() -> ExitCode {
    runner::main(vec![
        Check::new("numbers in the tables are the reports'", || tables(&made)),
        Check::new("so they are with real measurements", || tables(&real)),
        Check::new("marks in the charts are where their numbers are", marks),
        Check::new("a phone needs no sideways scrolling", || {
            legible(&made, PHONE).and_then(|()| legible(&real, PHONE))
        }),
        Check::new("it can be read in the light", || legible(&made, DESK)),
        Check::new("it can be read in the dark", || {
            legible(&made, Look { dark: true, ..DESK })
        }),
        Check::new("what a guest says does not run", nothing_runs),
        Check::new("what is no report is refused in one line", refused),
    ])
}

/// Three kernels, one of them without an operation, one with a range; names that need escaping.
fn kernels() -> [MeasureReport; 3] {
    const FULL: [(u64, u64); 2] = [(31, 16), (16, 1)];
    let mprotect = |batches: &[_]| measured::row("mprotect", 512, "change_pte_range", batches);
    let vmap = measured::row(
        "vmap",
        500,
        "vmap_pages_pte_range<inlined & cold>",
        &[(1, 500)],
    );
    let moved = |batches: &[_]| measured::row("uffd_move", 512, "move_pages", batches);
    let munmap = measured::row("munmap", 64, "zap_pte_range", &[]);
    let exec = |traps: [u64; 3]| {
        let mut row = measured::row("exec", 0, "copy_strings", &[(1, traps[1])]);
        (row.traps, row.depth) = (Spread::of(traps), 255);
        row
    };
    let old = vec![
        mprotect(&FULL),
        measured::skipped(&moved(&[])),
        vmap.clone(),
        munmap.clone(),
    ];
    let middle = vec![
        mprotect(&FULL),
        moved(&FULL),
        vmap.clone(),
        munmap.clone(),
        exec([18, 19, 21]),
    ];
    let new = vec![
        mprotect(&[(1, 512)]),
        moved(&[(1, 512)]),
        vmap,
        munmap,
        exec([541, 548, 560]),
    ];
    [
        measured::kernel("6.1 <b>\"&'", old),
        measured::kernel("6.12", middle),
        measured::kernel("7.2", new),
    ]
}

/// A page, and what it was made of.
struct Made {
    page: String,
    kernels: Vec<MeasureReport>,
    lab: Option<LabReport>,
}

/// The page of two of Debian's kernels, as they were measured.
fn real() -> Made {
    let files = ["6.12", "7.2"].map(|release| {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/measure-");
        format!("{data}{release}.json")
    });
    let dir = Scratch::new();
    let page = text(&dir.path("page.html"));
    let ran = xenlet(&["report", "--html", &page, &files[0], &files[1]]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let read = |file: &str| fs::read_to_string(file).expect("there");
    let kernel = |file: &String| serde_json::from_str(&read(file)).expect("a measurement");
    Made {
        page: read(&page),
        kernels: files.iter().map(kernel).collect(),
        lab: None,
    }
}

/// The page of [`kernels`] and of the lab.
fn made() -> Made {
    let dir = Scratch::new();
    let kernels = kernels();
    let mut args = vec!["report".to_owned()];
    for (i, kernel) in kernels.iter().enumerate() {
        args.push(dir.file(&format!("{i}.json"), json(kernel).as_bytes()));
    }
    let lab = text(&dir.path("lab.json"));
    let measures = [
        "lab",
        "--backend",
        "direct",
        "--format",
        "json",
        "--out",
        &lab,
    ];
    let ran = xenlet(&[&measures[..], &["--workload", "mprotect,munmap,nest"]].concat());
    assert!(ran.status.success(), "{}", err(&ran));
    let page = text(&dir.path("page.html"));
    args.extend([lab.clone(), "--html".to_owned(), page.clone()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = xenlet(&args);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert_eq!(
        err(&ran),
        "mprotect 512 takes 512 traps on 7.2, 17 on 6.12\n"
    );
    assert!(ran.stdout.is_empty(), "the page is the result");
    let read = |file: &str| fs::read_to_string(file).expect("written");
    Made {
        page: read(&page),
        kernels: kernels.to_vec(),
        lab: Some(serde_json::from_str(&read(&lab)).expect("a lab report")),
    }
}

fn xenlet(args: &[&str]) -> Output {
    binary::run(binary::xenlet(), args)
}

fn err(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

fn list<'a>(seen: &'a Value, name: &str) -> &'a [Value] {
    assert_eq!(seen["error"], Value::Null);
    seen[name]
        .as_array()
        .unwrap_or_else(|| panic!("{name}: {seen}"))
}

fn number(value: &Value) -> u64 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"));
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A row's place: kernel, operation, pages, depth.
type Key = (usize, String, u64, u64);

fn key(seen: &Value) -> Key {
    let kernel = number(&seen["kernel"]) as usize;
    let operation = seen["operation"].as_str().expect("an operation").to_owned();
    (
        kernel,
        operation,
        number(&seen["pages"]),
        number(&seen["depth"]),
    )
}

fn rows(kernels: &[MeasureReport]) -> BTreeMap<Key, &OperationRow> {
    let of = |(k, kernel): (usize, &'_ MeasureReport)| -> Vec<(usize, usize)> {
        (0..kernel.results.len()).map(|r| (k, r)).collect()
    };
    let places: Vec<_> = kernels.iter().enumerate().flat_map(of).collect();
    let row = |(k, r): (usize, usize)| {
        let row = &kernels[k].results[r];
        ((k, row.operation.clone(), row.pages, row.depth), row)
    };
    places.into_iter().map(row).collect()
}

fn tables(made: &dyn Fn() -> Made) -> Checked {
    let browser = Browser::here()?;
    let made = made();
    let seen = browser.sees(&made.page, DESK, LOOK);
    let rows = rows(&made.kernels);
    let cells: BTreeMap<Key, &Value> = list(&seen, "cells").iter().map(|c| (key(c), c)).collect();
    // Every operation on every kernel, whether it has it or not.
    let lines: BTreeSet<_> = rows.keys().map(|(_, o, p, d)| (o, p, d)).collect();
    assert_eq!(cells.len(), lines.len() * made.kernels.len());
    for (key, cell) in &cells {
        let shown = cell["text"].as_str().expect("text");
        let said = &cell["traps"];
        match rows.get(key) {
            Some(row) if row.status == Status::Measured => {
                assert_eq!(number(said), row.traps.median, "{key:?}");
                assert_eq!(shown, spread(row.traps), "{key:?}");
            }
            Some(row) => {
                let failed = row.status == Status::Failed;
                let word = if failed { "failed" } else { "skipped" };
                assert_eq!((shown, said), (word, &Value::Null), "{key:?}");
            }
            None => assert_eq!((shown, said), ("no row", &Value::Null), "{key:?}"),
        }
    }
    fields(&seen, &rows);
    if let Some(lab) = &made.lab {
        lab_cells(&seen, lab);
    }
    Ok(())
}

fn spread(spread: Spread) -> String {
    match spread.is_exact() {
        true => spread.median.to_string(),
        false => format!("{} ({}–{})", spread.median, spread.min, spread.max),
    }
}

/// Every count of every kernel's own table.
fn fields(seen: &Value, rows: &BTreeMap<Key, &OperationRow>) {
    let shown = list(seen, "counts");
    let measured = rows.values().filter(|row| row.status == Status::Measured);
    assert_eq!(shown.len(), measured.count());
    for counts in shown {
        let row = rows[&key(counts)];
        let is = |field: &str| {
            counts["fields"][field]
                .as_str()
                .expect("a field")
                .to_owned()
        };
        for (field, of) in [
            ("traps", row.traps),
            ("updates", row.updates),
            ("writes", row.emulated_writes),
            ("other", row.other_hypercalls),
            ("elsewhere", row.elsewhere),
            ("flushes", row.flushes),
            ("faults", row.faults),
            ("exits", row.exits),
            ("time_us", row.time_us),
        ] {
            assert_eq!(is(field), spread(of), "{field} of {}", row.label());
        }
        for (field, of) in [
            ("minimum_linux", row.minimum.linux),
            ("minimum_table", row.minimum.table),
            ("winnable", row.winnable),
        ] {
            assert_eq!(is(field), of.to_string(), "{field} of {}", row.label());
        }
        let batches: Vec<String> = row
            .batch_sizes
            .iter()
            .map(|(size, calls)| format!("{calls}×{size}"))
            .collect();
        assert_eq!(
            is("batch_sizes").trim(),
            batches.join(" "),
            "{}",
            row.label()
        );
    }
    let sites = list(seen, "sites");
    let all: Vec<_> = rows
        .iter()
        .flat_map(|(key, row)| row.sites.iter().map(|s| (key.0, s)))
        .collect();
    assert_eq!(sites.len(), all.len());
    for (kernel, site) in all {
        let same = |s: &&Value| {
            number(&s["kernel"]) as usize == kernel
                && s["site"] == site.function.as_str()
                && s["traps"] == site.traps.to_string().as_str()
        };
        assert!(sites.iter().any(|s| same(&s)), "{kernel}: {site:?}");
    }
}

fn lab_cells(seen: &Value, lab: &LabReport) {
    let cells = list(seen, "lab");
    assert_eq!(cells.len(), lab.results.len());
    for row in &lab.results {
        let same = |c: &&Value| {
            c["workload"] == row.workload.as_str() && c["policy"] == row.policy.as_str()
        };
        let cell = cells.iter().find(same).expect("a cell");
        let shown = match row.counted() {
            true => row.traps.to_string(),
            false => row.verdict.name().to_owned(),
        };
        assert_eq!(
            cell["text"],
            shown.as_str(),
            "{}/{}",
            row.workload,
            row.policy
        );
    }
}

/// Where a mark is says how many traps; what was not measured has none.
fn marks() -> Checked {
    let browser = Browser::here()?;
    let made = made();
    let seen = browser.sees(&made.page, DESK, LOOK);
    let rows = rows(&made.kernels);
    let marks = list(&seen, "marks");
    let mut places: BTreeMap<u64, f64> = BTreeMap::new();
    for mark in marks {
        let traps = number(&mark["traps"]);
        let x = mark["x"].as_f64().expect("a place");
        let before = *places.entry(traps).or_insert(x);
        assert!(
            (before - x).abs() < 1.0,
            "{traps} traps are at {before} and at {x}"
        );
        // A mark of all kernels stands for the first's row, too.
        let mut mark = mark.clone();
        if mark["kernel"].is_null() {
            mark["kernel"] = "0".into();
        }
        assert_eq!(rows[&key(&mark)].traps.median, traps, "{mark}");
    }
    let order: Vec<f64> = places.values().copied().collect();
    assert!(order.is_sorted_by(|a, b| a < b), "{places:?}");
    // A decade is as wide anywhere: the axis is logarithmic.
    let decade = |a: u64, b: u64| (places[&b] - places[&a]) / (b as f64 / a as f64).log10();
    assert!(
        (decade(17, 512) - decade(19, 500)).abs() < 2.0,
        "{places:?}"
    );
    // mprotect and uffd_move by kernel, vmap and munmap for all, exec on two.
    assert_eq!(marks.len(), 3 + 2 + 1 + 1 + 2, "{marks:?}");
    Ok(())
}

/// Nothing is wider than the window, smaller than 12 px or paler than what can be read.
fn legible(made: &dyn Fn() -> Made, look: Look) -> Checked {
    let browser = Browser::here()?;
    let seen = browser.sees(&made().page, look, LOOK);
    assert_eq!(seen["error"], Value::Null);
    assert_eq!(seen["width"], look.width);
    let width = seen["scroll_width"].as_f64().expect("a width");
    assert!(
        width <= f64::from(look.width),
        "the page is {width} px wide"
    );
    let smallest = seen["smallest_px"].as_f64().expect("a size");
    assert!(
        smallest >= 11.9,
        "text of {smallest} px: {}",
        seen["smallest"]
    );
    let contrast = seen["contrast"].as_f64().expect("a ratio");
    assert!(
        contrast >= 4.5,
        "text of contrast {contrast}: {}",
        seen["palest"]
    );
    let marks = seen["mark_contrast"].as_f64().expect("a ratio");
    assert!(marks >= 3.0, "a mark of contrast {marks}");
    assert_eq!(seen["dark"], look.dark, "the scheme asked for");
    assert_eq!(
        seen["unnamed"], 0,
        "charts without a name, tables without a caption"
    );
    Ok(())
}

/// The page's own ban, and before it the escaping: no element that a report brought along.
fn nothing_runs() -> Checked {
    let browser = Browser::here()?;
    let mut kernel = kernels().into_iter().next().expect("a kernel");
    let evil = "</style></title></svg><script>document.title='ran'</script><img src=x onerror=1>";
    kernel.kernel.release = evil.to_owned();
    kernel.kernel.banner = evil.to_owned();
    for row in &mut kernel.results {
        row.operation = format!("{}{evil}", row.operation);
        row.detail = evil.to_owned();
        row.sites
            .iter_mut()
            .for_each(|site| site.function = evil.to_owned());
    }
    let dir = Scratch::new();
    let file = dir.file("k.json", json(&kernel).as_bytes());
    let page = text(&dir.path("page.html"));
    let ran = xenlet(&["report", "--html", &page, &file]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let page = fs::read_to_string(page).expect("written");
    let seen = browser.sees(&page, DESK, LOOK);
    assert_eq!(seen["error"], Value::Null);
    assert_eq!(seen["strangers"], 0, "elements that are not ours");
    assert!(
        seen["title"]
            .as_str()
            .is_some_and(|t| t.contains("<script>")),
        "{seen}"
    );
    Ok(())
}

fn refused() -> Checked {
    let dir = Scratch::new();
    let [old, new, _] = kernels();
    let mut other = new.clone();
    other.runner.as_mut().expect("a runner").version = 2;
    let file = |name: &str, text: &str| dir.file(name, text.as_bytes());
    let old = file("old.json", &json(&old));
    let cases = [
        (file("other.json", &json(&other)), "by init 2"),
        (
            file("boot.json", "{\"schema\": \"xenlet.boot/1\"}"),
            "xenlet.boot/1",
        ),
        (file("cut.json", &json(&new)[..900]), ":"),
        (file("none.json", ""), ":1:0: not a report"),
        (
            file("again.json", &fs::read_to_string(&old).expect("written")),
            "the same report",
        ),
        (text(&dir.path("missing.json")), "No such file"),
        (text(&dir.path(".")), "Is a directory"),
    ];
    let page = file("page.html", "as it was");
    for (bad, why) in &cases {
        let ran = xenlet(&["report", "--html", &page, &old, bad]);
        let said = err(&ran);
        assert_eq!(ran.status.code(), Some(2), "{bad}: {said}");
        assert!(
            said.lines().count() == 1 && said.contains(bad) && said.contains(why),
            "{said}"
        );
        assert_eq!(
            fs::read_to_string(&page).expect("there"),
            "as it was",
            "{bad}"
        );
    }
    let nowhere = xenlet(&["report", "--html", "/nonexistent/page.html", &old]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", err(&nowhere));
    for words in [["--format", "json"], ["--out", "x"]] {
        let ran = xenlet(&[&["report", "--html", &page, &old][..], &words].concat());
        assert_eq!(ran.status.code(), Some(2), "{words:?}");
    }
    assert!(
        dir.names().iter().all(|name| !name.contains("tmp")),
        "{:?}",
        dir.names()
    );
    Ok(())
}
