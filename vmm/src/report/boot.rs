//! What a booted guest did: `xenlet boot --stats`, schema `xenlet.boot/1`.

use super::csv;
use super::grid::grid;
use super::{Host, Version};
use crate::config::{BootConfig, Initrd};
use crate::exit::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The boot report's schema.
pub const BOOT_SCHEMA: &str = "xenlet.boot/1";

/// What was booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// The kernel's file.
    pub kernel: String,
    /// The initrd's file.
    pub initrd: Option<String>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Its memory.
    pub mem_mib: u64,
    /// vCPUs.
    pub cpus: u32,
}

impl Guest {
    /// What `config` asks for.
    #[must_use]
    pub fn of(config: &BootConfig) -> Guest {
        Guest {
            kernel: config.kernel.display().to_string(),
            initrd: match &config.initrd {
                Initrd::None => None,
                Initrd::File(path) => Some(path.display().to_string()),
                Initrd::BuiltIn => Some("built in".to_owned()),
            },
            cmdline: config.cmdline.clone(),
            mem_mib: config.mem_mib,
            cpus: config.cpus,
        }
    }
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It powered off.
    Poweroff,
    /// It asked for a reboot.
    Reboot,
    /// It crashed, or said that it did.
    Crashed,
    /// The time limit passed.
    TimeLimit,
    /// The user left.
    Quit,
}

impl Ended {
    /// How the process should end.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Ended::Crashed => Exit::GuestCrashed,
            Ended::TimeLimit => Exit::TimeLimit,
            Ended::Poweroff | Ended::Reboot | Ended::Quit => Exit::Done,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Ended::Poweroff => "powered off",
            Ended::Reboot => "asked for a reboot",
            Ended::Crashed => "crashed",
            Ended::TimeLimit => "reached the time limit",
            Ended::Quit => "left by the user",
        }
    }
}

/// A boot, from the first instruction to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootReport {
    /// [`BOOT_SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub xenlet: Version,
    /// Where it was made.
    pub host: Host,
    /// What was booted.
    pub guest: Guest,
    /// How it ended.
    pub ended: Ended,
    /// What it died of, if it crashed.
    pub detail: String,
    /// How long it ran.
    pub wall_s: f64,
    /// Counters by group and name.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
}

impl BootReport {
    /// A report of this program's.
    #[must_use]
    pub fn new(config: &BootConfig, host: Host, ended: Ended, wall_s: f64) -> BootReport {
        BootReport {
            schema: BOOT_SCHEMA.to_owned(),
            xenlet: Version::this(),
            host,
            guest: Guest::of(config),
            ended,
            detail: String::new(),
            wall_s,
            counters: BTreeMap::new(),
        }
    }

    fn rows(&self) -> impl Iterator<Item = [String; 3]> {
        self.counters.iter().flat_map(|(group, counters)| {
            let row =
                move |(name, n): (&String, &u64)| [group.clone(), name.clone(), n.to_string()];
            counters.iter().map(row)
        })
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let header = ["group", "counter", "value"].map(str::to_owned).to_vec();
        let rows = self.rows().map(|row| row.to_vec()).collect();
        let grid = grid(header, rows, 2);
        format!("{} after {:.2} s\n\n{grid}", self.ended.text(), self.wall_s)
    }

    /// A line a counter.
    #[must_use]
    pub fn csv(&self) -> String {
        csv::table(["group", "counter", "value"], self.rows())
    }
}
