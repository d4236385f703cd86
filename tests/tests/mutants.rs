//! Every deliberate fault of the guest must be caught by the lab itself: by its oracle, by the
//! model's counts, or because the modelled kernel stops. A line a fault says by which cell; a
//! fault that no cell catches is a hole in the lab.

use serde_json::Value;
use std::process::ExitCode;
use tests::binary;
use tests::runner::{Choice, Skip};
use tests::runs::kvm;

/// Linux's buffer, whose bytes run out first, and one whose entries do.
const BATCHES: [&str; 2] = ["linux", "64"];

/// A cell that has failed.
struct Kill {
    cell: [String; 2],
    batch: &'static str,
    detail: String,
}

fn main() -> ExitCode {
    let choice = Choice::from_args();
    let chosen = choice.has("mutants");
    if choice.list && chosen {
        println!("mutants: test");
    }
    if choice.list || !chosen {
        return ExitCode::SUCCESS;
    }
    assert!(guest::mutants().is_empty(), "the ordinary guest has faults");
    for batch in BATCHES {
        let sound = lab("direct", batch, &[]);
        assert!(!sound.is_empty(), "no cells");
        assert_eq!(first_failure(&sound), None, "the unmutated guest, {batch}");
    }
    all()
}

fn all() -> ExitCode {
    let list = binary::run(binary::with_mutants(), &["mutants"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let names: Vec<&str> = list.lines().filter_map(|l| l.split('\t').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    let kvm = kvm();
    let survivors = names.iter().filter(|name| !judge(name, &kvm)).count();
    if let Err(Skip(why)) = kvm {
        println!("skipped: {why} ({} tests)", names.len());
    }
    println!("{} mutants, {survivors} survivors", names.len());
    ExitCode::from(u8::from(survivors > 0))
}

/// Runs the lab with the fault, and the cell that caught it once more on KVM. Whether it is dead.
fn judge(name: &str, kvm: &Result<(), Skip>) -> bool {
    let Some(kill) = kill(name) else {
        println!("mutant {name}: SURVIVED");
        return false;
    };
    let [workload, policy] = &kill.cell;
    let args = ["--mutant", name, "--workload", workload, "--policy", policy];
    let on = match kvm {
        Err(_) => "direct",
        Ok(()) if first_failure(&lab("kvm", kill.batch, &args)).is_some() => "direct and kvm",
        Ok(()) => {
            println!("mutant {name}: SURVIVED {workload}/{policy} on kvm");
            return false;
        }
    };
    let batch = kill.batch;
    println!(
        "mutant {name}: killed by {workload}/{policy} batch {batch} on {on}: {}",
        kill.detail
    );
    true
}

fn kill(name: &str) -> Option<Kill> {
    BATCHES.iter().find_map(|batch| {
        let (cell, detail) = first_failure(&lab("direct", batch, &["--mutant", name]))?;
        Some(Kill {
            cell,
            batch,
            detail,
        })
    })
}

/// The rows of a run with two vCPUs, all cells unless `args` says otherwise.
fn lab(backend: &str, batch: &str, args: &[&str]) -> Vec<Value> {
    let base = ["lab", "--format", "json", "--cpus", "2"];
    let base = [&base[..], &["--backend", backend, "--batch", batch]].concat();
    let ran = binary::run(binary::with_mutants(), &[&base[..], args].concat());
    let said = String::from_utf8_lossy(&ran.stderr);
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|e| panic!("{args:?}: {e}, status {}, {said}", ran.status));
    report["results"].as_array().cloned().unwrap_or_default()
}

/// The first row that is no success, wrong tables before wrong counts: its cell, and what is
/// wrong.
fn first_failure(rows: &[Value]) -> Option<([String; 2], String)> {
    let bad = |row: &&Value| matches!(text(row, "verdict"), "fail" | "crash");
    let only_counts = |row: &&Value| text(row, "final_state") == "ok";
    let row = rows.iter().filter(bad).min_by_key(only_counts)?;
    let cell = ["workload", "policy"].map(|key| text(row, key).to_owned());
    Some((cell, text(row, "detail").chars().take(120).collect()))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}
