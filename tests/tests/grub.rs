//! GRUB's own PV image (Debian's grub-xen-host) boots to its prompt on our console and does what is
//! typed: a kernel by other people, with raw `syscall`s, its own page tables, grants and xenstore.
//! Skipped where the package cannot be fetched.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Command, ExitCode, Output, Stdio};
use tests::binary;
use tests::runner::{Check, Checked, Skip, main as run};
use tests::runs::kvm;
use tests::scratch::{Scratch, text};
use xenlet::exit::Exit;
use xenlet::images::{Cache, fetch, find};

/// The image's name.
const IMAGE: &str = "grub-xen";
/// It takes a tenth of a second on an idle machine.
const LIMIT: &str = "60";

fn main() -> ExitCode {
    run(vec![
        Check::new("halts_when_told", halts_when_told),
        Check::new("waits_at_its_prompt", waits_at_its_prompt),
    ])
}

/// The image is in the cache afterwards.
fn fetched() -> Checked {
    let missing = |why: String| Skip(format!("no {IMAGE} image: {why}"));
    let cache = Cache::of_user().map_err(|e| missing(e.to_string()))?;
    if cache.get(IMAGE).is_some() {
        return Ok(());
    }
    let recipe = find(IMAGE).expect("a recipe of ours");
    let fetched = fetch(&cache, IMAGE, &recipe.package, &mut |_| {});
    fetched.map(drop).map_err(|e| missing(e.to_string()))
}

/// Boots it, types, and closes the input; what it printed and what was counted.
fn boot(limit: &str, typed: &str) -> Result<(Output, Value), Skip> {
    kvm()?;
    fetched()?;
    let dir = Scratch::new();
    let stats = dir.path("stats.json");
    let mut child = Command::new(binary::xenlet())
        .args(["boot", "--image", IMAGE, "--time-limit", limit])
        .args(["--stats", &text(&stats)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xenlet starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(typed.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let stats = fs::read(stats).expect("written at the end");
    Ok((output, serde_json::from_slice(&stats).expect("JSON")))
}

#[track_caller]
fn shows(output: &Output, what: &[&str]) {
    let console = String::from_utf8_lossy(&output.stdout);
    for part in what {
        assert!(console.contains(part), "no {part:?}:\n{console}");
    }
}

fn halts_when_told() -> Checked {
    let (output, stats) = boot(LIMIT, "ls\nhalt\n")?;
    let banner = ["Welcome to GRUB!", "GNU GRUB  version 2.", "grub> "];
    shows(&output, &banner);
    // What `ls` lists.
    shows(&output, &["(memdisk)"]);
    assert_eq!(output.status.code(), Some(Exit::Done as i32), "{output:?}");
    assert_eq!(stats["ended"], "poweroff");
    let calls = &stats["counters"]["hypercalls"];
    // Its start, from outside: the grant table's setup, its first M2P entries, the switch to
    // page tables of its own, and a mapping for each table it wrote.
    assert_eq!(calls["grant_table_op"], 2, "{calls}");
    assert_eq!(calls["mmu_update"], 1, "{calls}");
    assert_eq!(calls["mmuext_op"], 1, "{calls}");
    let mappings = calls["update_va_mapping"].as_u64();
    assert!(mappings.is_some_and(|n| n > 10), "{calls}");
    let all = &stats["counters"]["counters"]["hypercalls"];
    println!("GRUB: to its prompt and back in {all} hypercalls");
    Ok(())
}

fn waits_at_its_prompt() -> Checked {
    let (output, stats) = boot("5", "")?;
    shows(&output, &["grub> "]);
    assert_eq!(output.status.code(), Some(Exit::TimeLimit as i32));
    assert_eq!(stats["ended"], "time_limit");
    Ok(())
}
