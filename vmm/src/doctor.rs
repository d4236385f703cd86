//! `xenlet doctor`: what this host's KVM can do, what was tried, which strategies follow and why,
//! and what to do about what is missing.

use crate::kvm::{Coherence, Costs, HostError, Probe, capabilities, device, probe_costs};
use crate::report::doctor::{DoctorReport, Finding, Status};

/// Looks at everything; never fails: what cannot be looked at is a finding.
#[must_use]
pub fn run() -> DoctorReport {
    let mut findings = vec![host_kernel()];
    match device() {
        Err(e) => findings.push(missing("/dev/kvm", &e)),
        Ok(kvm) => {
            findings.push(finding("/dev/kvm", Status::Ok, "API version 12", ""));
            findings.extend(capabilities(&kvm).into_iter().map(|c| {
                let status = match (c.present, c.required) {
                    (true, _) => Status::Ok,
                    (false, false) => Status::Absent,
                    (false, true) => Status::Missing,
                };
                finding(c.name, status, &c.value.to_string(), c.use_)
            }));
            match probe_costs(&kvm) {
                Ok((probe, costs)) => findings.extend(probed(&probe, &costs)),
                Err(e) => findings.push(missing("probe", &e)),
            }
        }
    }
    DoctorReport::new(findings)
}

fn finding(what: &str, status: Status, value: &str, detail: &str) -> Finding {
    Finding {
        what: what.into(),
        status,
        value: value.into(),
        detail: detail.into(),
    }
}

fn missing(what: &str, e: &HostError) -> Finding {
    finding(what, Status::Missing, "no", &e.to_string())
}

fn host_kernel() -> Finding {
    let host = crate::report::Host::here();
    finding("host", Status::Ok, &host.kernel, &host.cpu)
}

fn probed(probe: &Probe, costs: &Costs) -> Vec<Finding> {
    let entry = match probe.syscall_cpl {
        3 => {
            "SYSCALL stays at CPL3: the entry page is the guest's to execute and rings a doorbell page"
        }
        _ => "SYSCALL arrives at CPL0: the entry is `out; sysretq`",
    };
    let vmm = match probe.vmm_store_seen {
        true => "a page-table entry written by the VMM is seen after a flush: nested paging",
        false => "a page-table entry written by the VMM stays unseen: shadow paging",
    };
    let (guest_seen, guest_why) = match probe.guest_store_seen {
        Some(true) => ("yes", "the same store repeated by the guest's CPL0 is seen"),
        Some(false) => ("no", "not even the guest's own CPL0 store is seen"),
        None => ("not tried", "not needed"),
    };
    let coherence = match probe.coherence() {
        Coherence::Direct => ("direct", "the VMM stores; a flush is a new CR3 value"),
        Coherence::GuestStores => (
            "guest-stores",
            "a CPL0 stub in the guest repeats every store to a live entry",
        ),
    };
    let us = |ns: u64| format!("{:.1} us", ns as f64 / 1000.0);
    vec![
        finding(
            "syscall arrives at",
            Status::Ok,
            &format!("CPL{}", probe.syscall_cpl),
            entry,
        ),
        finding(
            "VMM's PTE store seen",
            Status::Ok,
            yes_no(probe.vmm_store_seen),
            vmm,
        ),
        finding("guest's PTE store seen", Status::Ok, guest_seen, guest_why),
        finding("coherence", Status::Ok, coherence.0, coherence.1),
        finding(
            "hypercall round trip",
            Status::Ok,
            &us(costs.round_trip_ns),
            "median of 64, to the VMM and back",
        ),
        finding(
            "one repeated store",
            Status::Ok,
            &us(costs.store_stub_ns),
            "median of 64",
        ),
    ]
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
