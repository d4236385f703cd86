//! The golden vectors, against the whole library on the mock machine.

use super::{Cellular, Mock};
use hypercalls::lab::{Cause, Outcome};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, println};

/// Runs a plan on one CPU.
pub(super) fn run(plan: &str) -> Vec<Cellular> {
    run_on(1, plan)
}

pub(super) fn run_on(cpus: usize, plan: &str) -> Vec<Cellular> {
    let kernel = Mock::kernel(cpus);
    crate::lab::run(&kernel, plan);
    let cells = kernel.machine().cells.take();
    assert!(!cells.is_empty(), "{:?}", kernel.machine().console);
    cells
}

/// The traps, or the outcome that has none, with guest's and machine's counts held together.
fn traps(cell: &Cellular) -> String {
    let r = &cell.result;
    let name = format!("{:?} {:?}: {:?}", r.workload, r.policy, r);
    match Outcome::from_raw(r.outcome) {
        Some(Outcome::Skip) => return "-".to_string(),
        Some(Outcome::Bug) if r.bug.as_str().starts_with("BUG_ON") => return "BUG".to_string(),
        Some(Outcome::Bug | Outcome::Ran) => {}
        _ => return name,
    }
    assert_eq!((r.differing, r.mistouched), (0, 0), "{name}");
    assert_eq!(r.calls[1..], cell.counts.reasons[1..], "{name}");
    assert_eq!(r.updates, cell.counts.updates, "{name}");
    assert_eq!(r.emulated_writes, cell.counts.emulated, "{name}");
    cell.counts.traps().to_string()
}

fn one(plan: &str) -> Cellular {
    run(plan).swap_remove(0)
}

#[test]
fn one_section_of_n_sets() {
    let expected = [
        (1, 1),
        (31, 1),
        (32, 2),
        (62, 2),
        (63, 3),
        (64, 3),
        (128, 5),
        (256, 9),
    ];
    for (n, t) in expected {
        let cell = one(&format!("workload=mprotect policy=generic ptes={n}"));
        assert_eq!(traps(&cell), t.to_string(), "{n}");
        assert_eq!(cell.counts.updates, n);
    }
}

#[test]
fn other_capacities() {
    for (batch, t) in [
        ("linux", 17),
        ("31", 17),
        ("32", 16),
        ("64", 8),
        ("128", 4),
        ("512", 1),
    ] {
        let cell = one(&format!("workload=mprotect policy=generic batch={batch}"));
        assert_eq!(traps(&cell), t.to_string(), "{batch}");
    }
}

#[test]
fn more_than_one_table_is_more_than_one_section() {
    let cell = one("workload=mprotect policy=generic ptes=1024");
    assert_eq!(traps(&cell), "34");
    assert_eq!(cell.counts.reasons[Cause::Disable as usize], 2);
}

/// Columns: 6.1, 6.12, v2, generic, 7.2.
const TABLE: [(&str, [&str; 5]); 18] = [
    ("mprotect", ["17", "17", "17", "17", "512"]),
    ("fork", ["17", "17", "17", "17", "512"]),
    ("munmap", ["0", "0", "0", "0", "0"]),
    ("zap_swap", ["17", "17", "17", "17", "512"]),
    ("mremap", ["17", "17", "17", "17", "512"]),
    ("remap_pfn", ["17", "17", "17", "17", "512"]),
    ("vmap", ["512", "512", "17", "17", "512"]),
    ("vunmap", ["0", "0", "0", "0", "0"]),
    ("madvise_cold", ["17", "0", "0", "0", "0"]),
    ("madvise_free", ["17", "17", "17", "17", "512"]),
    ("pagemap_scan", ["-", "17", "17", "17", "513"]),
    ("migrate", ["52", "52", "52", "52", "1025"]),
    ("kasan_populate", ["17", "17", "512", "512", "512"]),
    ("nest", ["BUG", "17", "17", "17", "512"]),
    ("switch", ["18", "18", "18", "18", "512"]),
    ("switch_nested", ["BUG", "BUG", "18", "18", "512"]),
    ("irq", ["18", "18", "18", "18", "513"]),
    ("irq_flush", ["17", "17", "17", "17", "512"]),
];

#[test]
fn the_table() {
    for (workload, expected) in TABLE {
        let plan = format!(
            "policy=legacy-6.1,legacy-6.12,local-state-v2,generic,generic-7.2 workload={workload}"
        );
        let got: Vec<_> = run(&plan).iter().map(traps).collect();
        assert_eq!(got, expected, "{workload}");
    }
}

#[test]
fn everything_at_other_sizes_too() {
    for ptes in [1, 2, 31, 100, 513] {
        for cell in run(&format!("ptes={ptes}")) {
            let traps = traps(&cell);
            assert!(traps.len() < 5, "{traps}");
        }
    }
}

#[test]
fn print_the_matrix() {
    let cells = run("");
    for row in cells.chunks(crate::policies().len()) {
        let line: Vec<_> = row
            .iter()
            .map(|c| {
                format!(
                    "{}{}",
                    traps(c),
                    if c.result.bug.as_str().is_empty() {
                        ""
                    } else {
                        "*"
                    }
                )
            })
            .collect();
        println!("{:20} {}", row[0].result.workload.as_str(), line.join("\t"));
    }
    for c in cells.iter().filter(|c| !c.result.bug.as_str().is_empty()) {
        println!(
            "{:?} {:?}: {:?}",
            c.result.workload, c.result.policy, c.result.bug
        );
    }
}
