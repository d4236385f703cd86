//! The words of the command line. Ranges and names are checked here, before anything runs.

use super::help::{
    BOOT_EXAMPLES, COMPARE_EXAMPLES, EXAMPLES, IMAGES_EXAMPLES, LAB_EXAMPLES, MEASURE_EXAMPLES,
    REPORT_EXAMPLES,
};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use xenlet::config::{
    BATCH, BOOT_CPUS, Backend, Batch, CPUS, DEPTH, LAB_TIME_LIMIT_S, MEASURE_TIME_LIMIT_S, MEM_MIB,
    PTES, REPEAT,
};
use xenlet::report::Format;

/// Runs Xen PV guests on any Linux/KVM host and counts every hypercall trap.
#[derive(Debug, Parser)]
#[command(name = "xenlet", version, after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) global: Global,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// How the result is printed; ktap for lab and compare [default: table]
    #[arg(long, global = true, value_enum)]
    pub(super) format: Option<FormatArg>,
    /// Write the result to this file instead of stdout, whole or not at all
    #[arg(long, global = true, value_name = "F")]
    pub(super) out: Option<PathBuf>,
    /// Say more on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// A deliberate fault of what the host is told
    #[cfg(feature = "mutants")]
    #[arg(long, global = true, value_name = "M", hide = true, value_parser = host_fault)]
    pub(super) host_fault: Option<xenlet::kvm::Fault>,
}

#[cfg(feature = "mutants")]
fn host_fault(word: &str) -> Result<xenlet::kvm::Fault, String> {
    let mut all = xenlet::kvm::Fault::ALL.into_iter();
    all.find(|fault| fault.name() == word)
        .ok_or_else(|| "no such fault".to_owned())
}

/// The forms of a result.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum FormatArg {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// A header line and a line a row
    Csv,
    /// The kernel's test protocol
    Ktap,
    /// For a mail or a pull request; of measurements' comparisons
    Markdown,
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Format {
        match arg {
            FormatArg::Table => Format::Table,
            FormatArg::Json => Format::Json,
            FormatArg::Csv => Format::Csv,
            FormatArg::Ktap => Format::Ktap,
            FormatArg::Markdown => Format::Markdown,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Measure workloads under lazy-MMU policies and check the page tables (the default)
    #[command(after_help = LAB_EXAMPLES)]
    Lab(LabArgs),
    /// List workloads, policies and a kernel's operations, and what each is about
    List,
    /// Say what this host's KVM can do, and what is missing
    Doctor,
    /// Boot a Xen PV guest
    #[command(after_help = BOOT_EXAMPLES)]
    Boot(BootArgs),
    /// Measure which mm operation of a Linux kernel traps, and from where
    #[command(after_help = MEASURE_EXAMPLES)]
    Measure(MeasureArgs),
    /// List or fetch third-party guests
    #[command(subcommand, after_help = IMAGES_EXAMPLES)]
    Images(ImagesCommand),
    /// Say what changed between two lab reports, or two measured kernels, worst first
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Draw reports of kernels and of the lab as one page
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Measure this host's floors and our costs, side by side
    Bench(BenchArgs),
    /// List the deliberate faults of the guest
    #[cfg(feature = "mutants")]
    #[command(hide = true)]
    Mutants,
}

impl Default for Command {
    fn default() -> Command {
        Command::Lab(LabArgs::default())
    }
}

/// `lab`.
#[derive(Debug, Args)]
pub(super) struct LabArgs {
    /// A workload; repeatable [default: all]
    #[arg(long = "workload", value_name = "W", value_delimiter = ',')]
    pub(super) workloads: Vec<String>,
    /// A policy; repeatable [default: all]
    #[arg(long = "policy", value_name = "P", value_delimiter = ',')]
    pub(super) policies: Vec<String>,
    /// Page-table entries each workload works on, 1 to 8192
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = ptes())]
    pub(super) ptes: u32,
    /// What one flush carries: "linux", or this many updates, 1 to 512
    #[arg(long, value_name = "linux|N", default_value_t = Batch::Linux, value_parser = batch)]
    pub(super) batch: Batch,
    /// vCPUs, 1 to 4
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = cpus())]
    pub(super) cpus: u32,
    /// What executes the guest
    #[arg(long, value_enum, default_value_t = BackendArg::Kvm)]
    pub(super) backend: BackendArg,
    /// A measuring guest to run instead of the built-in one
    #[arg(long, value_name = "F")]
    pub(super) kernel: Option<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, value_name = "S", default_value_t = LAB_TIME_LIMIT_S, value_parser = seconds())]
    pub(super) time_limit: u64,
    /// Recount every page's references as the guest runs; what is wrong ends it with a dump
    #[arg(long)]
    pub(super) paranoid: bool,
    /// Destroy what a hypercall may destroy, as a debug build of Xen does: a guest that relies on it
    /// shows
    #[arg(long)]
    pub(super) poison: bool,
    /// A deliberate fault of the guest
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "M", hide = true)]
    pub(super) mutant: Option<String>,
}

impl Default for LabArgs {
    fn default() -> LabArgs {
        LabArgs {
            workloads: Vec::new(),
            policies: Vec::new(),
            ptes: 512,
            batch: Batch::Linux,
            cpus: 1,
            backend: BackendArg::Kvm,
            kernel: None,
            time_limit: LAB_TIME_LIMIT_S,
            paranoid: false,
            poison: false,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// `images`.
#[derive(Debug, Subcommand)]
pub(super) enum ImagesCommand {
    /// List them, and which are here
    List,
    /// Fetch one's kernel from Debian, with this machine's own apt
    Fetch(FetchArgs),
}

/// `images fetch`.
#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    /// Its name; repeatable
    #[arg(value_name = "NAME", required = true)]
    pub(super) names: Vec<String>,
}

/// `boot`.
#[derive(Debug, Args)]
pub(super) struct BootArgs {
    /// The kernel
    #[arg(long, value_name = "F", required_unless_present = "image")]
    pub(super) kernel: Option<PathBuf>,
    /// Instead of a kernel: an image that was fetched (`xenlet images list`)
    #[arg(long, value_name = "NAME", conflicts_with = "kernel")]
    pub(super) image: Option<String>,
    /// Its initrd [default: the image's]
    #[arg(long, value_name = "F")]
    pub(super) initrd: Option<PathBuf>,
    /// Its command line [default: the image's]
    #[arg(long, value_name = "S")]
    pub(super) cmdline: Option<String>,
    /// Its memory in MiB [default: the image's, or 512]
    #[arg(long, value_name = "N", value_parser = mem_mib())]
    pub(super) mem_mib: Option<u64>,
    /// vCPUs, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = boot_cpus())]
    pub(super) cpus: u32,
    /// Give up after this many seconds
    #[arg(long, value_name = "S", value_parser = seconds())]
    pub(super) time_limit: Option<u64>,
    /// Recount every page's references as the guest runs; what is wrong ends it with a dump
    #[arg(long)]
    pub(super) paranoid: bool,
    /// Destroy what a hypercall may destroy, as a debug build of Xen does: a guest that relies on it
    /// shows
    #[arg(long)]
    pub(super) poison: bool,
    /// Write the counters to this file as JSON
    #[arg(long, value_name = "F.json")]
    pub(super) stats: Option<PathBuf>,
}

/// `measure`.
#[derive(Debug, Args)]
pub(super) struct MeasureArgs {
    /// The kernel
    #[arg(long, value_name = "F", required_unless_present = "image")]
    pub(super) kernel: Option<PathBuf>,
    /// Instead of a kernel: an image that was fetched (`xenlet images list`)
    #[arg(long, value_name = "NAME", conflicts_with = "kernel")]
    pub(super) image: Option<String>,
    /// An operation; repeatable [default: all]
    #[arg(long = "operation", value_name = "O", value_delimiter = ',')]
    pub(super) operations: Vec<String>,
    /// A fork depth, 0 to 300; repeatable [default: 0, 1 and 255]
    #[arg(long = "depth", value_name = "N", value_delimiter = ',', value_parser = depth())]
    pub(super) depths: Vec<u32>,
    /// Repetitions of each after a warm-up, 1 to 20
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = repeat())]
    pub(super) repeat: u32,
    /// Its command line [default: the image's]
    #[arg(long, value_name = "S")]
    pub(super) cmdline: Option<String>,
    /// Its memory in MiB [default: the image's, or 512]
    #[arg(long, value_name = "N", value_parser = mem_mib())]
    pub(super) mem_mib: Option<u64>,
    /// vCPUs, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = boot_cpus())]
    pub(super) cpus: u32,
    /// Give up after this many seconds
    #[arg(long, value_name = "S", default_value_t = MEASURE_TIME_LIMIT_S, value_parser = seconds())]
    pub(super) time_limit: u64,
    /// Its System.map or vmlinux, if the kernel has no symbols of its own
    #[arg(long, value_name = "F")]
    pub(super) symbols: Option<PathBuf>,
    /// Do not look for call sites
    #[arg(long)]
    pub(super) no_sites: bool,
    /// Write the operations' hypercalls to this file, on a time line for chrome://tracing or
    /// Perfetto
    #[arg(long, value_name = "F.json")]
    pub(super) trace: Option<PathBuf>,
}

/// `compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The report to compare with
    #[arg(value_name = "A.json")]
    pub(super) a: PathBuf,
    /// The report to judge
    #[arg(value_name = "B.json")]
    pub(super) b: PathBuf,
    /// Growth that is no regression, in percent
    #[arg(long, value_name = "PCT", default_value_t = 0.0, value_parser = percent)]
    pub(super) tolerance: f64,
}

/// `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The reports: `measure --format json`, `lab --format json`
    #[arg(value_name = "R.json", required = true)]
    pub(super) reports: Vec<PathBuf>,
    /// Write the page to this file, whole or not at all
    #[arg(long, value_name = "F.html")]
    pub(super) html: PathBuf,
}

/// `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// What executes the guest
    #[arg(long, value_enum, default_value_t = BackendArg::Kvm)]
    pub(super) backend: BackendArg,
}

/// What executes the guest.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum BackendArg {
    /// A guest kernel on /dev/kvm
    #[default]
    Kvm,
    /// The guest library in this process, no /dev/kvm
    Direct,
}

impl From<BackendArg> for Backend {
    fn from(arg: BackendArg) -> Backend {
        match arg {
            BackendArg::Kvm => Backend::Kvm,
            BackendArg::Direct => Backend::Direct,
        }
    }
}

fn ptes() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*PTES.start())..=u64::from(*PTES.end()))
}

fn cpus() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*CPUS.start())..=u64::from(*CPUS.end()))
}

fn boot_cpus() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*BOOT_CPUS.start())..=u64::from(*BOOT_CPUS.end()))
}

fn mem_mib() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(MEM_MIB)
}

fn depth() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*DEPTH.start())..=u64::from(*DEPTH.end()))
}

fn repeat() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*REPEAT.start())..=u64::from(*REPEAT.end()))
}

fn seconds() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=86400)
}

fn batch(word: &str) -> Result<Batch, String> {
    word.parse().map_err(|_| {
        format!(
            "\"linux\" or a number from {} to {}",
            BATCH.start(),
            BATCH.end()
        )
    })
}

fn percent(word: &str) -> Result<f64, String> {
    match word.trim_end_matches('%').parse::<f64>() {
        Ok(pct) if pct.is_finite() && pct >= 0.0 => Ok(pct),
        _ => Err("a percentage of 0 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["xenlet"], words].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_the_lab_with_clap_s_own_defaults() {
        let cli = parse(&["--format", "json"]).expect("valid");
        assert!(cli.command.is_none());
        let Ok(Cli {
            command: Some(Command::Lab(lab)),
            ..
        }) = parse(&["lab"])
        else {
            panic!("lab is a command");
        };
        assert_eq!(format!("{lab:?}"), format!("{:?}", LabArgs::default()));
    }

    #[test]
    fn ranges_are_checked() {
        for good in [
            ["--ptes", "8192"],
            ["--batch", "512"],
            ["--cpus", "4"],
            ["--batch", "linux"],
        ] {
            assert!(parse(&[&["lab"][..], &good].concat()).is_ok(), "{good:?}");
        }
        for bad in [
            ["--ptes", "0"],
            ["--ptes", "8193"],
            ["--batch", "0"],
            ["--batch", "513"],
            ["--cpus", "5"],
            ["--cpus", "0"],
            ["--backend", "xen"],
            ["--format", "yaml"],
            ["--mode", "fast"],
        ] {
            let e = parse(&[&["lab"][..], &bad].concat()).expect_err("out of range");
            assert!(e.use_stderr(), "{bad:?}");
        }
        assert!(parse(&["compare", "a", "b", "--tolerance", "-1"]).is_err());
        assert!(parse(&["compare", "a"]).is_err());
        assert!(parse(&["boot"]).is_err());
        assert!(parse(&["report", "a"]).is_err());
        assert!(parse(&["report", "--html", "f"]).is_err());
    }
}
