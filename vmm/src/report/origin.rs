//! Which program made a report, and where.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// Which program made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The package's version.
    pub version: String,
    /// The source's revision; "unknown" if it was not built from a repository.
    pub revision: String,
}

impl Version {
    /// This program's.
    #[must_use]
    pub fn this() -> Version {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("XENLET_REVISION")
                .unwrap_or("unknown")
                .to_owned(),
        }
    }
}

/// Where a report was made, and what depends on that alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host kernel's release.
    pub kernel: String,
    /// The processor's name.
    pub cpu: String,
    /// The strategies chosen by probing: what → which.
    #[serde(default)]
    pub strategies: BTreeMap<String, String>,
    /// Hypercalls inside sections that were the guest kernel's own (interrupt returns,
    /// scheduling, timers) and are in no row's `traps`: name → calls.
    #[serde(default)]
    pub other_hypercalls: BTreeMap<String, u64>,
    /// How long the run took.
    #[serde(default)]
    pub wall_ms: u64,
}

impl Host {
    /// This host, as far as it can be told without KVM.
    #[must_use]
    pub fn here() -> Host {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|l| {
            let (key, value) = l.split_once(':')?;
            (key.trim() == "model name").then_some(value.trim())
        });
        Host {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: model.unwrap_or("unknown").to_owned(),
            ..Host::default()
        }
    }
}
