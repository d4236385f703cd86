//! What the guest was booted for: `xenlet.init=WHAT[,ARG...]` of the kernel's command line.

use std::fs;
use std::io;

/// The parameter's name and its equals sign.
const PARAMETER: &str = "xenlet.init=";

/// What is to be run, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The first word: `shell` where nothing is asked for.
    pub what: String,
    /// The others.
    pub args: Vec<String>,
}

impl Request {
    /// Of the running kernel's command line.
    ///
    /// # Errors
    /// If /proc is not mounted.
    pub fn of_this_boot() -> io::Result<Request> {
        Ok(Request::parse(&fs::read_to_string("/proc/cmdline")?))
    }

    /// The last one of a command line counts, as with Linux's own parameters.
    fn parse(cmdline: &str) -> Request {
        let values = cmdline.split_whitespace();
        let last = values.filter_map(|w| w.strip_prefix(PARAMETER)).next_back();
        let mut words = last.unwrap_or("shell").split(',').map(str::to_owned);
        Request {
            what: words.next().unwrap_or_default(),
            args: words.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_parameter_counts_and_a_shell_is_the_default() {
        let request = |cmdline| {
            let Request { what, args } = Request::parse(cmdline);
            (what, args.join(" "))
        };
        assert_eq!(request("console=hvc0 quiet\n"), ("shell".into(), "".into()));
        assert_eq!(
            request("xenlet.init=shell quiet xenlet.init=battery,fork,pipes\n"),
            ("battery".into(), "fork pipes".into())
        );
    }
}
