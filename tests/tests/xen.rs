//! Our hypervisor's answers are Xen's answers, so the counts measured here mean something there.
//!
//! Probes what single requests are answered (page typing, error numbers, done counts, adjusted
//! bits) and what the lab counts, on real Xen and on ours. `cargo test -p tests --test xen --
//! --nocapture` prints the comparison; `XENLET_RECORD=1` before it rewrites the recorded answers.

use hypercalls::lab::Outcome;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use tests::runner::{self, Check, Checked, Skip};
use tests::xen::{Boot, Cell, Verdict, Xen, cells, here, verdicts};
use xenlet::domain::{CellReport, DomainConfig};
use xenlet::lab::GUEST;

/// What real Xen answered when it was last asked.
const RECORDED: &str = include_str!("xen/truth.txt");
const RECORD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/xen/truth.txt");
/// Ample on a busy machine; an idle one needs some seconds.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    runner::main(vec![
        Check::new("large_machine", large_machine),
        Check::new("lab_under_poison", lab_under_poison),
        Check::new("truth_table", truth_table),
        Check::new("lab_on_xen", lab_on_xen),
    ])
}

fn config(cmdline: &str, cpus: usize) -> DomainConfig {
    DomainConfig {
        mem_mib: 32,
        cpus,
        cmdline: cmdline.to_owned(),
        ..DomainConfig::default()
    }
}

/// What real Xen's console shows, if this machine can have one.
fn on_xen(cmdline: &str, cpus: u32, mem_mib: u32) -> Result<String, Skip> {
    let xen = Xen::prepare().map_err(|why| Skip(format!("no real Xen: {why}")))?;
    let boot = Boot {
        kernel: GUEST,
        cmdline,
        cpus,
        mem_mib,
        time_limit: LIMIT,
    };
    let console = xen.boot(&boot);
    Ok(console.unwrap_or_else(|e| panic!("Xen {}: {e}", xen.version)))
}

/// What is left of a run on KVM, if this machine has it.
fn on_kvm(config: &DomainConfig) -> Option<here::Ran> {
    let ran = here::on_kvm(config, LIMIT);
    ran.inspect_err(|why| println!("skipped: kvm: {why}")).ok()
}

/// Answers by probe; a probe that was not asked has none.
fn asked(verdicts: &[Verdict]) -> BTreeMap<&str, &str> {
    let asked = verdicts.iter().filter(|v| v.skipped().is_none());
    asked.map(|v| (&*v.name, &*v.answer)).collect()
}

/// One party's answers beside the reference: how many there are, and how many differ.
struct Tally {
    name: &'static str,
    rows: usize,
    wrong: usize,
}

impl Tally {
    /// Prints each difference. Only a row the party says it skips may be missing.
    fn new(name: &'static str, party: &[Verdict], reference: &BTreeMap<&str, &str>) -> Tally {
        let answers = asked(party);
        let skips = |probe: &str| {
            party
                .iter()
                .any(|v| v.name == probe && v.skipped().is_some())
        };
        let strange = answers
            .keys()
            .filter(|probe| !reference.contains_key(*probe));
        let mut wrong = strange
            .inspect(|probe| println!("difference: {probe}: no reference"))
            .count();
        for (probe, expected) in reference.iter().filter(|(probe, _)| !skips(probe)) {
            let answer = answers.get(probe).unwrap_or(&"no answer");
            if answer != expected {
                println!("difference: {probe}: {name} {answer}; xen {expected}");
                wrong += 1;
            }
        }
        let rows = answers.len();
        Tally { name, rows, wrong }
    }
}

/// The reference is what real Xen answers or, where there is none, what it answered. Rows that a
/// first domain is answered differently stand in the record as ours, so that they stay what they
/// are on both backends.
fn truth_table() -> Checked {
    let direct = verdicts(&here::direct(&config("probe=all", 1)).console);
    let kvm = on_kvm(&config("probe=all", 1)).map(|ran| verdicts(&ran.console));
    let xen = on_xen("probe=all", 1, 256).map(|console| verdicts(&console));
    if std::env::var_os("XENLET_RECORD").is_some() {
        record(xen.as_deref().expect("real Xen to record"), &direct);
    }
    let recorded = verdicts(RECORDED);
    let mut reference = asked(&recorded);
    if let Ok(xen) = &xen {
        reference.extend(asked(xen));
    }
    let mut tallies = Vec::new();
    tallies.extend(kvm.map(|kvm| Tally::new("kvm", &kvm, &reference)));
    tallies.push(Tally::new("direct", &direct, &reference));
    if let Ok(xen) = &xen {
        print_skips(xen);
        tallies.push(Tally::new("xen", xen, &asked(&recorded)));
    }
    let parties = tallies
        .iter()
        .map(|t| format!("{} {}/{}", t.name, t.rows - t.wrong, t.rows));
    let parties: Vec<String> = parties.collect();
    let differences: usize = tallies.iter().map(|t| t.wrong).sum();
    println!(
        "truth table: {}, differences {differences}",
        parties.join(", ")
    );
    assert!(!reference.is_empty() && differences == 0);
    xen.map(drop)
}

fn print_skips(xen: &[Verdict]) {
    for (verdict, why) in xen.iter().filter_map(|v| Some((v, v.skipped()?))) {
        println!("skipped: xen: {}: {why}", verdict.name);
    }
}

/// Rewrites the recorded answers; those that a first domain cannot ask for are marked.
fn record(xen: &[Verdict], ours: &[Verdict]) {
    let ours = asked(ours);
    let line = |v: &Verdict| match v.skipped() {
        None => format!("probe {} {}\n", v.name, v.answer),
        Some(why) => {
            let answer = ours.get(&*v.name).unwrap_or(&"");
            format!("# unprivileged: {why}\nprobe {} {answer}\n", v.name)
        }
    };
    let text: String = xen.iter().map(line).collect();
    std::fs::write(RECORD_FILE, text).expect("the record is in the source tree");
}

/// What the hypervisor counted, in the words of the guest's line.
fn counted(report: &CellReport) -> Cell {
    let result = &report.result;
    let outcome = match Outcome::from_raw(result.outcome) {
        Some(Outcome::Ran) => "ran",
        Some(Outcome::Bug) => "bug",
        Some(Outcome::Skip) => "skip",
        Some(Outcome::Error) | None => "error",
    };
    Cell {
        name: format!("{} {}", result.workload.as_str(), result.policy.as_str()),
        outcome: outcome.to_owned(),
        traps: report.traps,
        updates: report.updates,
        emulated: report.emulated_writes,
        differing: result.differing + result.mistouched + report.check_mismatches,
    }
}

/// The guest counts its own traps on Xen; here the hypervisor does. All workloads and policies,
/// on two vCPUs so that none is left out for want of one.
fn lab_on_xen() -> Checked {
    let console = on_xen("", 2, 256)?;
    let there = cells(&console);
    let here = on_kvm(&config("", 2)).unwrap_or_else(|| here::direct(&config("", 2)));
    let here: Vec<Cell> = here.cells.iter().map(counted).collect();
    assert_eq!(there.len(), here.len(), "{console}");
    let mut equal = 0;
    for (there, here) in there.iter().zip(&here) {
        if there == here && there.differing == 0 {
            equal += 1;
        } else {
            println!("difference: {}: xen {there}; here {here}", here.name);
        }
    }
    println!("lab on xen: {equal}/{} counts equal", here.len());
    assert!(equal == here.len() && equal > 0);
    Ok(())
}

/// A machine with much memory: the guest takes what it needs of it.
fn large_machine() -> Checked {
    let console = on_xen("workload=mprotect policy=generic", 1, 1024)?;
    let cells = cells(&console);
    assert_eq!(cells.len(), 1, "{console}");
    assert_eq!((cells[0].traps, cells[0].differing), (17, 0), "{console}");
    Ok(())
}

/// The guest counts on nothing that a debug build of Xen destroys.
fn lab_under_poison() -> Checked {
    let poisoned = DomainConfig {
        poison: true,
        ..config("", 1)
    };
    let counts = |ran: &here::Ran| ran.cells.iter().map(counted).collect::<Vec<_>>();
    let expected = counts(&here::direct(&config("", 1)));
    let mut runs = vec![("direct", here::direct(&poisoned))];
    runs.extend(on_kvm(&poisoned).map(|ran| ("kvm", ran)));
    for (name, ran) in runs {
        let cells = counts(&ran);
        assert_eq!(cells, expected, "{name}");
        assert!(cells.iter().all(|cell| cell.differing == 0), "{name}");
        println!(
            "lab under poison, {name}: {0}/{0} counts equal",
            cells.len()
        );
    }
    Ok(())
}
