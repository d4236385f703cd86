//! The command line: words → config, reports → text. Everything else is the library's.

mod args;
mod commands;
mod help;
mod names;
mod output;
mod progress;

pub(crate) use args::Cli;
pub(crate) use output::say;

use args::Command;
use xenlet::exit::Exit;

/// Why the command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub(crate) exit: Exit,
    /// What to say, in one line.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        let error = error.into();
        Failure { exit, error }
    }

    fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure::new(Exit::Usage, error)
    }
}

/// Runs a command; without one, the lab.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let command = cli.command.unwrap_or_default();
    let global = cli.global;
    #[cfg(feature = "mutants")]
    if let Some(fault) = global.host_fault {
        fault.choose();
    }
    let output = output::Output::new(global.format.unwrap_or_default().into(), global.out)?;
    let verbose = global.verbose > 0;
    match command {
        Command::Lab(args) => commands::lab(args, &output, verbose),
        Command::List => commands::list(&output),
        Command::Doctor => commands::doctor(&output),
        Command::Boot(args) => commands::boot(args, &output, verbose),
        Command::Measure(args) => commands::measure(args, &output, verbose),
        Command::Images(command) => commands::images(command, &output),
        Command::Compare(args) => commands::compare(&args, &output),
        Command::Report(args) => commands::report(&args, &output),
        Command::Bench(args) => commands::bench(args, &output, verbose),
        #[cfg(feature = "mutants")]
        Command::Mutants => commands::mutants(&output),
    }
}
