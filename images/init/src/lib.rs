//! What runs first in a booted Linux guest, and what it can be asked to do.
//!
//! `xenlet.init=WHAT[,ARG...]` on the kernel's command line says what: a [`Request`]. Results go to
//! the console, a line each, for whoever booted the guest to read. The same code runs on the host,
//! where its checks must pass too.

pub mod battery;
pub mod forks;
mod hotplug;
pub mod machine;
mod measure;
mod request;
mod shell;

pub use request::Request;

/// What the guest says before anything else.
pub const MARKER: &str = "xenlet: user mode";

/// Does what was asked for. Returns once the guest is no longer needed.
pub fn serve(request: &Request) {
    match request.what.as_str() {
        "shell" => shell::exec(),
        "measure" => measure::run(&request.args),
        "battery" => battery::run(&request.args),
        "forks" => forks::run(&request.args),
        "hotplug" => hotplug::run(),
        "reboot" => machine::reboot(),
        // As process 1 ends, so does Linux.
        "panic" => panic!("as was asked"),
        "nothing" => {}
        other => println!("xenlet: no such thing as xenlet.init={other}"),
    }
}
