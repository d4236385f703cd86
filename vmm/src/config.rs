//! What a run is asked to do: plain data, units in the names.
//!
//! Comes in: the command line, already checked. Goes out: to the pipeline and, for the lab, the
//! guest's command line.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// PTEs a workload may work on: one to sixteen tables' worth.
pub const PTES: RangeInclusive<u32> = 1..=8192;
/// Updates a flush may carry with an explicit batch.
pub const BATCH: RangeInclusive<u32> = 1..=512;
/// vCPUs a guest may have.
pub const CPUS: RangeInclusive<u32> = 1..=4;
/// vCPUs a booted guest may have.
pub const BOOT_CPUS: RangeInclusive<u32> = 1..=32;
/// Guest memory.
pub const MEM_MIB: RangeInclusive<u64> = 4..=65536;
/// Memory of a booted guest that was not given any.
pub const BOOT_MEM_MIB: u64 = 512;
/// Seconds the lab's guest may take before it is given up.
pub const LAB_TIME_LIMIT_S: u64 = 300;

/// What executes the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A guest kernel on /dev/kvm.
    #[default]
    Kvm,
    /// The guest library against the hypervisor's dispatch, in this process.
    Direct,
}

impl Backend {
    /// The report's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Kvm => "kvm",
            Backend::Direct => "direct",
        }
    }
}

/// How much one flush carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Batch {
    /// Linux's multicall buffer: 32 entries and 512 argument bytes, so 31 updates.
    #[default]
    Linux,
    /// This many updates.
    Updates(u32),
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Batch::Linux => f.pad("linux"),
            Batch::Updates(n) => fmt::Display::fmt(n, f),
        }
    }
}

impl FromStr for Batch {
    type Err = String;

    fn from_str(s: &str) -> Result<Batch, String> {
        let wanted = || format!("{s:?} is neither \"linux\" nor in {BATCH:?}");
        match s {
            "linux" => Ok(Batch::Linux),
            n => match n.parse() {
                Ok(n) if BATCH.contains(&n) => Ok(Batch::Updates(n)),
                _ => Err(wanted()),
            },
        }
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Batch, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// `xenlet lab`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabConfig {
    /// Workloads by name, in the order of the table; none twice.
    pub workloads: Vec<String>,
    /// Policies by name, in the order of the table; none twice.
    pub policies: Vec<String>,
    /// PTEs each workload works on.
    pub ptes: u32,
    /// What one flush carries.
    pub batch: Batch,
    /// vCPUs.
    pub cpus: u32,
    /// What executes the guest.
    pub backend: Backend,
    /// A measuring guest to run instead of the embedded one.
    pub kernel: Option<PathBuf>,
    /// Give up after this many seconds.
    pub time_limit_s: u64,
    /// The guest's console goes to stderr.
    pub verbose: bool,
    /// Recount every page's references as the guest runs.
    #[serde(default)]
    pub paranoid: bool,
    /// Destroy what a hypercall may destroy.
    #[serde(default)]
    pub poison: bool,
    /// The guest's deliberate fault.
    #[cfg(feature = "mutants")]
    pub mutant: Option<String>,
}

impl LabConfig {
    /// Every cell to be measured, workload by workload.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        let policies = &self.policies;
        let row = move |w| policies.iter().map(move |p: &String| (w, p.as_str()));
        self.workloads.iter().flat_map(move |w| row(w.as_str()))
    }

    /// The guest's command line.
    #[must_use]
    pub fn plan(&self) -> String {
        let plan = format!(
            "workload={} policy={} ptes={} batch={}",
            self.workloads.join(","),
            self.policies.join(","),
            self.ptes,
            self.batch
        );
        #[cfg(feature = "mutants")]
        if let Some(mutant) = &self.mutant {
            return format!("{plan} mutant={mutant}");
        }
        plan
    }
}

/// What a booted kernel is given as its initrd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initrd {
    /// None.
    #[default]
    None,
    /// A file's bytes.
    File(PathBuf),
    /// The built-in initramfs.
    BuiltIn,
}

/// `xenlet boot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootConfig {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// The image it is, if it was named and not given as a file.
    pub image: Option<String>,
    /// Its initrd.
    pub initrd: Initrd,
    /// The kernel's command line.
    pub cmdline: String,
    /// The guest's memory.
    pub mem_mib: u64,
    /// vCPUs.
    pub cpus: u32,
    /// Give up after this many seconds.
    pub time_limit_s: Option<u64>,
    /// Say more on stderr.
    pub verbose: bool,
    /// Recount every page's references as the guest runs.
    #[serde(default)]
    pub paranoid: bool,
    /// Destroy what a hypercall may destroy.
    #[serde(default)]
    pub poison: bool,
}

/// Repetitions a measurement may ask for.
pub const REPEAT: RangeInclusive<u32> = 1..=20;
/// Fork depths a measurement may ask for.
pub const DEPTH: RangeInclusive<u32> = 0..=300;
/// Seconds a measurement may take before it is given up.
pub const MEASURE_TIME_LIMIT_S: u64 = 600;

/// `xenlet measure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureConfig {
    /// The kernel, its command line and memory; its initrd is the runner.
    pub boot: BootConfig,
    /// Operations by name; none for all.
    pub operations: Vec<String>,
    /// Fork depths to perform them at; none for the runner's own.
    pub depths: Vec<u32>,
    /// Repetitions of each after its warm-up.
    pub repeat: u32,
    /// A System.map or vmlinux of the kernel's, where it has no symbols of its own.
    pub symbols: Option<PathBuf>,
    /// Hypercalls on a time line are wanted.
    pub trace: bool,
    /// Call sites are to be found; a measurement without them is for measuring what they cost.
    pub sites: bool,
}

impl MeasureConfig {
    /// The kernel's command line, with what the runner is asked for. Its memory lies at the same
    /// addresses in every boot: how many page tables a fork copies depends on them.
    #[must_use]
    pub fn cmdline(&self) -> String {
        let mut words = vec!["measure".to_owned(), format!("repeat={}", self.repeat)];
        words.extend(self.depths.iter().map(|depth| format!("depth={depth}")));
        words.extend(self.operations.iter().cloned());
        let request = format!("norandmaps xenlet.init={}", words.join(","));
        match self.boot.cmdline.as_str() {
            "" => request,
            own => format!("{own} {request}"),
        }
    }
}

/// `xenlet bench`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchConfig {
    /// What executes the guest.
    pub backend: Backend,
    /// Say more on stderr.
    pub verbose: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_linux_or_a_number_in_range() {
        assert_eq!("linux".parse(), Ok(Batch::Linux));
        assert_eq!("512".parse(), Ok(Batch::Updates(512)));
        for bad in ["0", "513", "-1", "", "Linux", "12x"] {
            assert!(bad.parse::<Batch>().is_err(), "{bad}");
        }
        let json = serde_json::to_string(&Batch::Updates(128)).expect("plain data");
        assert_eq!(json, "\"128\"");
        assert_eq!(
            serde_json::from_str::<Batch>(&json).ok(),
            Some(Batch::Updates(128))
        );
    }

    #[test]
    fn the_plan_names_every_axis() {
        let config = LabConfig {
            workloads: vec!["fork".into(), "nest".into()],
            policies: vec!["eager".into()],
            ptes: 512,
            batch: Batch::Linux,
            cpus: 1,
            backend: Backend::Kvm,
            kernel: None,
            time_limit_s: 1,
            verbose: false,
            paranoid: false,
            poison: false,
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        assert_eq!(
            config.plan(),
            "workload=fork,nest policy=eager ptes=512 batch=linux"
        );
        let cells: Vec<_> = config.cells().collect();
        assert_eq!(cells, [("fork", "eager"), ("nest", "eager")]);
    }
}
