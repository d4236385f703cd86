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
use tests::xen::{Boot, Cell, Comparison, RECORDED, Verdict, Xen, answers, cells, here, verdicts};
use xenlet::domain::{CellReport, DomainConfig};
use xenlet::lab::GUEST;

const RECORD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/xen/truth.txt");
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
    let mut reference = answers(&recorded);
    let mut parties = Vec::new();
    if let Ok(xen) = &xen {
        parties.push(Comparison::new("xen", xen, &asked_of(xen, &reference)));
        reference.extend(answers(xen));
    }
    parties.insert(0, Comparison::new("direct", &direct, &reference));
    if let Some(kvm) = kvm {
        parties.insert(0, Comparison::new("kvm", &kvm, &reference));
    }
    let differences = parties.iter().flat_map(|party| &party.differences);
    let differences = differences.inspect(|d| println!("difference: {d}")).count();
    let parties: Vec<String> = parties.iter().map(Comparison::to_string).collect();
    println!(
        "truth table: {}, differences {differences}",
        parties.join(", ")
    );
    assert!(!reference.is_empty() && differences == 0);
    xen.map(drop)
}

/// The record without what a first domain is not asked, which is printed.
fn asked_of<'a>(
    xen: &[Verdict],
    recorded: &BTreeMap<&'a str, &'a str>,
) -> BTreeMap<&'a str, &'a str> {
    let mut asked = recorded.clone();
    for (verdict, why) in xen.iter().filter_map(|v| Some((v, v.skipped()?))) {
        println!("skipped: xen: {}: {why}", verdict.name);
        asked.remove(&*verdict.name);
    }
    asked
}

/// Rewrites the recorded answers; those that a first domain is not asked are marked.
fn record(xen: &[Verdict], ours: &[Verdict]) {
    let ours = answers(ours);
    let line = |v: &Verdict| match v.skipped() {
        None => format!("probe {} {}\n", v.name, v.answer),
        Some(why) => {
            let answer = ours.get(&*v.name).unwrap_or(&"");
            format!("# not asked of Xen: {why}\nprobe {} {answer}\n", v.name)
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
