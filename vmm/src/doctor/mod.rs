//! `xenlet doctor`: what this host's KVM can do, what was tried, which strategies follow and why,
//! and what to do about what is missing.

mod machine;

use machine::Machine;

use crate::kvm::{
    Capability, Coherence, Costs, HostError, Probe, capabilities, device, probe_costs,
};
use crate::report::doctor::{DoctorReport, Finding, Status};

/// Looks at everything; never fails: what cannot be looked at is a finding.
#[must_use]
pub fn run() -> DoctorReport {
    let mut findings = vec![host_kernel()];
    let machine = Machine::here();
    match device() {
        Err(e) => findings.push(no_device(&e, &machine)),
        Ok(kvm) => {
            findings.push(finding("/dev/kvm", Status::Ok, "API version 12", ""));
            findings.extend(capabilities(&kvm).into_iter().map(|c| {
                let status = match (c.present, c.required) {
                    (true, _) => Status::Ok,
                    (false, false) => Status::Absent,
                    (false, true) => Status::Missing,
                };
                finding(c.name, status, &c.value.to_string(), &bearing(&c))
            }));
            match probe_costs(&kvm) {
                Ok((probe, costs)) => {
                    findings.extend(probed(&probe, &costs));
                    findings.push(paging(&probe, &machine));
                }
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

/// What a device that is not there, or not ours, needs.
fn no_device(e: &HostError, machine: &Machine) -> Finding {
    let advice = match e {
        HostError::NoDevice => machine.no_device(),
        HostError::NoPermission => machine.no_permission(),
        _ => return missing("/dev/kvm", e),
    };
    let found = match e {
        HostError::NoDevice => "does not exist",
        _ => "no permission",
    };
    finding("/dev/kvm", Status::Missing, found, &advice)
}

/// What a capability is for; and what to do where no guest runs without it.
fn bearing(c: &Capability) -> String {
    match (c.required, c.present) {
        (true, false) => format!("{}: needs Linux {} or newer", c.use_, c.since),
        _ => c.use_.to_owned(),
    }
}

/// Whether the CPU walks the guest's page tables itself.
fn paging(probe: &Probe, machine: &Machine) -> Finding {
    match probe.coherence() {
        Coherence::Direct => finding("nested paging", Status::Ok, "yes", ""),
        Coherence::GuestStores => {
            let why = machine.shadow_paging();
            finding("nested paging", Status::Absent, "no", &why)
        }
    }
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
    let cpuid = match probe.native_cpuid {
        true => "answered by the CPU: guest kernels are shown its user-mode features, AVX included",
        false => "answered by the table of this VMM",
    };
    let code32 = match probe.native_compat {
        true => "32-bit programs run on the CPU",
        false => "KVM emulates 32-bit programs: slow, and x87 and SSE end in SIGILL",
    };
    let xstate = match probe.xcr0 {
        0 => ("none", "KVM offers no XSAVE: guests use x87 and SSE"),
        x if x & XCR0_AVX == 0 => ("sse", "KVM offers no AVX"),
        x if x & XCR0_AVX512 == 0 => ("avx", "guests may use AVX"),
        _ => ("avx512", "guests may use AVX and AVX-512"),
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
        finding("user mode's cpuid", Status::Ok, probe.cpuid(), cpuid),
        finding("extended state", Status::Ok, xstate.0, xstate.1),
        finding("32-bit user code", Status::Ok, probe.code32(), code32),
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

/// XCR0: AVX; the registers of AVX-512.
const XCR0_AVX: u64 = 1 << 2;
const XCR0_AVX512: u64 = 0b111 << 5;

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_that_is_missing_names_the_kernel_that_has_it() {
        let capability = |required, present| Capability {
            name: "KVM_CAP_SYNC_REGS",
            required,
            value: 0,
            present,
            since: "4.17",
            use_: "registers",
        };
        let old = bearing(&capability(true, false));
        assert_eq!(old, "registers: needs Linux 4.17 or newer");
        assert_eq!(bearing(&capability(true, true)), "registers");
        assert_eq!(bearing(&capability(false, false)), "registers");
    }

    #[test]
    fn a_device_that_is_closed_is_not_one_that_is_missing() {
        let machine = Machine::default();
        let closed = no_device(&HostError::NoPermission, &machine);
        assert_eq!(
            (closed.status, &*closed.value),
            (Status::Missing, "no permission")
        );
        let absent = no_device(&HostError::NoDevice, &machine);
        assert_eq!(absent.value, "does not exist");
    }

    #[test]
    fn shadow_paging_is_absent_not_missing() {
        let probe = Probe {
            syscall_cpl: 0,
            tsc_khz: 1,
            vmm_store_seen: false,
            guest_store_seen: Some(true),
            native_cpuid: false,
            shared_tsc: false,
            native_compat: true,
            xcr0: 0,
        };
        let found = paging(&probe, &Machine::default());
        assert_eq!((found.status, &*found.value), (Status::Absent, "no"));
    }
}
