//! The program. As process 1 of a guest: makes the machine ready, serves the request of the
//! command line, powers off. As any other process: `init battery [NAME...]`, which needs no guest,
//! and `init check NAME`, which the battery starts for each of its checks.

use init::{MARKER, Request, battery, machine, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        guest();
        machine::power_off();
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((word, [])) if word == "nothing" => {}
        Some((word, names)) if word == "battery" => battery::run(names),
        Some((word, [name])) if word == "check" => battery::check_here(name),
        _ => {
            eprintln!("usage: init battery [NAME...] | init check NAME");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn guest() {
    println!("{MARKER}");
    if let Err(e) = machine::ready() {
        println!("xenlet: {e}");
        return;
    }
    match Request::of_this_boot() {
        Ok(request) => serve(&request),
        Err(e) => println!("xenlet: /proc/cmdline: {e}"),
    }
}
