//! Deliberate faults of what KVM is told, each of which a row of [`super::flushes`] must notice: by
//! what is read, where page tables are shadowed; by what KVM asks of the CPU, where they are not,
//! since an emulated CPU forgets its translations at every entry.

use xenlet::kvm::Fault;

use super::flushes::{ROWS, Row};
use crate::hosts::{Kind, Run};

/// A fault, and the row that must notice it.
pub(super) struct Mutant {
    pub(super) fault: Fault,
    pub(super) row: &'static Row,
}

/// Those that mean something on a kind of host.
pub(super) fn mutants(kind: Kind) -> Vec<Mutant> {
    let fits = |mutant: &Mutant| {
        let means = match mutant.fault {
            Fault::NoShow => kind.is_shadow(),
            // There KVM flushes for its own reasons too, and counts say nothing.
            Fault::NeedlessFlush => !kind.is_shadow(),
            // The vCPUs share the shadow: when the one that asks flushes itself, KVM brings it up to
            // date for both.
            Fault::NoRemoteFlush => !kind.is_shadow(),
            Fault::NoFlush | Fault::NoPageFlush => true,
        };
        means && mutant.row.cpus <= kind.cpus()
    };
    Fault::ALL
        .into_iter()
        .filter_map(mutant)
        .filter(fits)
        .collect()
}

fn mutant(fault: Fault) -> Option<Mutant> {
    let name = match fault {
        Fault::NoFlush => "update_va_mapping, full flush",
        Fault::NoPageFlush | Fault::NoShow => "update_va_mapping, page flush",
        Fault::NoRemoteFlush => "update_va_mapping, page flush on two vCPUs",
        Fault::NeedlessFlush => "xen_version",
    };
    let row = ROWS.iter().find(|row| row.name == name)?;
    Some(Mutant { fault, row })
}

impl Mutant {
    /// How the runs of one turn and of many show the fault; `None` if they do not.
    pub(super) fn caught(&self, kind: Kind, one: &Run, all: &Run) -> Option<String> {
        const CRASHED: i32 = 4;
        match (kind.is_shadow(), one.flushes, all.flushes) {
            (true, ..) => (all.code == CRASHED).then(|| "stale".to_owned()),
            (false, Some(one), Some(all)) => self.row.wrong(kind, one, all),
            (false, ..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_row() {
        assert_eq!(
            Fault::ALL.into_iter().filter_map(mutant).count(),
            Fault::ALL.len()
        );
        assert_eq!(mutants(Kind::AmdNpt0).len(), 3);
        assert_eq!(mutants(Kind::AmdNpt1Cpus2).len(), 4);
    }
}
