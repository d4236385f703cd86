//! The battery on this machine's own kernel: what it finds wrong in a guest is the guest's, for here
//! it finds nothing wrong.

use init::battery::CHECKS;
use std::process::Command;

#[test]
fn every_check_passes_here_or_says_what_it_lacks() {
    let output = Command::new(env!("CARGO_BIN_EXE_init"))
        .arg("battery")
        .env("XENLET_PIPELINES", "50")
        .output()
        .expect("it was built");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), CHECKS.len(), "{text}");
    for (line, check) in lines.iter().zip(CHECKS) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[..2], ["battery", check.name]);
        assert!(["ok", "skipped"].contains(&words[2]), "{line}");
    }
}
