//! A measurement as table and CSV.

use super::{MeasureReport, OperationRow, Spread, Status};
use crate::exit::Exit;
use crate::report::csv;
use crate::report::grid::grid;

/// Sites shown below the table.
const SITES: usize = 3;
/// Rows ranked by what batching could still win.
const RANKED: usize = 10;

impl MeasureReport {
    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let measured = || self.results.iter().filter(|r| r.status == Status::Measured);
        let header = [
            "operation",
            "pages",
            "depth",
            "",
            "traps",
            "updates",
            "min/31",
            "min/512",
            "writes",
            "flushes",
            "faults",
            "exits",
        ];
        let rows = measured().map(row).collect();
        let grid = grid(header.map(str::to_owned).to_vec(), rows, 1);
        let head = format!(
            "{}\n{} repetitions, {} vCPU, {:.1} s; = : equal in all repetitions\n",
            self.kernel.banner.trim(),
            self.repeat,
            self.guest.cpus,
            self.wall_s
        );
        let mut out = format!("{head}\n{grid}\n");
        out.push_str(&self.ranking());
        for row in self.results.iter().filter(|r| r.status != Status::Measured) {
            let how = if row.status == Status::Skipped {
                "skipped"
            } else {
                "failed"
            };
            out.push_str(&format!("{how}: {}: {}\n", row.label(), row.detail));
        }
        // Where there is no measurement, stderr has it.
        if !self.detail.is_empty() && self.exit() == Exit::Done {
            out.push_str(&format!("{}\n", self.detail.trim_end()));
        }
        out
    }

    /// What batching could still win, most first, with the call sites.
    fn ranking(&self) -> String {
        let mut rows: Vec<&OperationRow> = self.results.iter().collect();
        rows.retain(|row| row.winnable > 0);
        rows.sort_by_key(|row| std::cmp::Reverse(row.winnable));
        let mut out = String::new();
        for row in rows.iter().take(RANKED) {
            let (now, could) = (row.batch_sizes.values().sum::<u64>(), row.minimum.linux);
            out.push_str(&format!(
                "{}: {now} traps where {could} would do\n",
                row.label()
            ));
            for site in row.sites.iter().filter(|s| s.updates > 0).take(SITES) {
                out.push_str(&format!(
                    "    {:>5} {} from {}\n",
                    site.traps,
                    site.kind,
                    site.way()
                ));
            }
        }
        match out.is_empty() {
            true => out,
            false => format!("what batching could still win, most first\n{out}\n"),
        }
    }

    /// A line a row.
    #[must_use]
    pub fn csv(&self) -> String {
        let header = [
            "operation",
            "pages",
            "depth",
            "status",
            "deterministic",
            "traps",
            "traps_min",
            "traps_max",
            "updates",
            "emulated_writes",
            "minimum_linux",
            "minimum_table",
            "winnable",
            "flushes",
            "faults",
            "exits",
            "time_us",
            "site",
        ];
        let rows = self.results.iter().map(|r| {
            let status = format!("{:?}", r.status).to_lowercase();
            let site = r.main_site().map_or(String::new(), |s| s.function.clone());
            [
                r.operation.clone(),
                r.pages.to_string(),
                r.depth.to_string(),
                status,
                r.deterministic.to_string(),
                r.traps.median.to_string(),
                r.traps.min.to_string(),
                r.traps.max.to_string(),
                r.updates.median.to_string(),
                r.emulated_writes.median.to_string(),
                r.minimum.linux.to_string(),
                r.minimum.table.to_string(),
                r.winnable.to_string(),
                r.flushes.median.to_string(),
                r.faults.median.to_string(),
                r.exits.median.to_string(),
                r.time_us.median.to_string(),
                site,
            ]
        });
        csv::table(header, rows)
    }
}

fn row(row: &OperationRow) -> Vec<String> {
    let pages = match row.pages {
        0 => "-".to_owned(),
        pages => pages.to_string(),
    };
    vec![
        row.operation.clone(),
        pages,
        row.depth.to_string(),
        if row.deterministic { "=" } else { "" }.to_owned(),
        spread(row.traps),
        spread(row.updates),
        row.minimum.linux.to_string(),
        row.minimum.table.to_string(),
        spread(row.emulated_writes),
        spread(row.flushes),
        spread(row.faults),
        spread(row.exits),
    ]
}

/// The middle one, with the range if there is any.
fn spread(spread: Spread) -> String {
    match spread.is_exact() {
        true => spread.median.to_string(),
        false => format!("{} ({}-{})", spread.median, spread.min, spread.max),
    }
}
