//! What the hypervisor answers: a table of probes, each one request on tables of its own.
//!
//! Owns no opinion: a probe reports what came back, and whoever reads the console compares it with
//! what real Xen answered. Comes in: names, or `all`, from the command line. Goes out: a line a
//! probe, `probe NAME rc=R done=D value=V`, or `probe NAME skip REASON`. `done` is the count of
//! requests the hypervisor wrote, `untouched` if it wrote none; `value` is what memory holds
//! afterwards, of a page-table entry without its frame number. `-` is what a probe does not ask.

mod calls;
mod descriptor;
mod direct_write;
mod entry;
mod ext;
mod fixture;
mod l1;
mod multicall;
mod pin;
mod request;
mod upper;
mod va_mapping;

use crate::config::Config;
use crate::kernel::Os;
use core::fmt;
use fixture::Fixture;

/// One question to the hypervisor.
pub(crate) struct Probe {
    name: &'static str,
    run: fn(&Fixture<'_>) -> Answer,
    /// Why the machine's first domain gets another answer.
    privileged: Option<&'static str>,
}

/// A row of the table.
const fn row(name: &'static str, run: fn(&Fixture<'_>) -> Answer) -> Probe {
    Probe {
        name,
        run,
        privileged: None,
    }
}

/// A row that is left out where the domain is privileged, and why.
const fn unprivileged(
    name: &'static str,
    why: &'static str,
    run: fn(&Fixture<'_>) -> Answer,
) -> Probe {
    Probe {
        name,
        run,
        privileged: Some(why),
    }
}

/// THE table of probes.
const TABLE: [&[Probe]; 11] = [
    &request::ROWS,
    &l1::ROWS,
    &upper::ROWS,
    &pin::ROWS,
    &ext::ROWS,
    &va_mapping::ROWS,
    &direct_write::ROWS,
    &descriptor::ROWS,
    &entry::ROWS,
    &multicall::ROWS,
    &calls::ROWS,
];

/// The count of requests done, as the hypervisor wrote it.
#[derive(Clone, Copy)]
pub(crate) enum Done {
    /// Not asked for.
    Unasked,
    /// Nothing was written.
    Untouched,
    /// This was.
    Written(u32),
}

/// What came back.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    rc: i64,
    done: Done,
    value: Option<u64>,
}

impl Answer {
    /// A result alone.
    const fn of(rc: i64) -> Answer {
        Answer {
            rc,
            done: Done::Unasked,
            value: None,
        }
    }

    /// With what memory holds then.
    const fn with(self, value: u64) -> Answer {
        Answer {
            value: Some(value),
            ..self
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rc={} done=", self.rc)?;
        match self.done {
            Done::Unasked => f.write_str("-")?,
            Done::Untouched => f.write_str("untouched")?,
            Done::Written(done) => write!(f, "{done}")?,
        }
        match self.value {
            None => f.write_str(" value=-"),
            Some(value) => write!(f, " value={value:#x}"),
        }
    }
}

fn rows() -> impl Iterator<Item = &'static Probe> {
    TABLE.iter().copied().flatten()
}

/// Whether a probe has that name; `all` names every one.
pub(crate) fn is_known(name: &str) -> bool {
    name == "all" || rows().any(|probe| probe.name == name)
}

/// Runs the probes of a list of names.
pub(crate) fn run(os: Os<'_>, names: &str) {
    let wanted = |probe: &&Probe| names.split(',').any(|n| n == "all" || n == probe.name);
    rows().filter(wanted).for_each(|probe| ask(os, probe));
}

fn ask(os: Os<'_>, probe: &Probe) {
    let name = probe.name;
    if let Some(why) = probe.privileged.filter(|_| os.machine.is_privileged()) {
        return os.machine.log(format_args!("probe {name} skip {why}"));
    }
    crate::lab::prepare(os, Config::LINUX);
    match Fixture::new(os) {
        Ok(fixture) => {
            let answer = (probe.run)(&fixture);
            let ended = fixture.tear_down();
            os.machine.log(format_args!("probe {name} {answer}"));
            if ended.is_err() {
                os.machine
                    .log(format_args!("probe {name} left its tables in use"));
            }
        }
        Err(_) => os
            .machine
            .log(format_args!("probe {name} skip no memory for its tables")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_words() {
        for (i, probe) in rows().enumerate() {
            assert!(
                probe
                    .name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_')
            );
            assert!(
                rows().skip(i + 1).all(|other| other.name != probe.name),
                "{}",
                probe.name
            );
        }
        assert!(is_known("all") && !is_known("nothing"));
    }
}
