//! What a machine shows of its virtualization beside /dev/kvm itself, and what a person can do where
//! KVM is missing, closed to the user, too old, or without nested paging.
//!
//! In: /proc/cpuinfo, KVM's modules and their parameters, the owner of the device. Out: advice. How
//! guests are run is never decided here: that is the probe's.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The CPU's virtualization, and so the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// AMD's.
    Svm,
    /// Intel's.
    Vmx,
}

impl Extension {
    const fn module(self) -> &'static str {
        match self {
            Extension::Svm => "kvm_amd",
            Extension::Vmx => "kvm_intel",
        }
    }

    /// The parameter that turns nested paging on.
    const fn paging(self) -> &'static str {
        match self {
            Extension::Svm => "npt",
            Extension::Vmx => "ept",
        }
    }
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// What the CPU offers; none where the firmware or an outer hypervisor keeps it.
    pub(super) extension: Option<Extension>,
    /// The machine is itself a guest.
    pub(super) is_guest: bool,
    /// The module kvm is loaded or built in.
    pub(super) has_kvm: bool,
    /// What the vendor's module says of nested paging.
    pub(super) nested_paging: Option<bool>,
    /// The group that may open the device.
    pub(super) group: Option<String>,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let parameter = |module: &str, name: &str| {
            fs::read_to_string(format!("/sys/module/{module}/parameters/{name}")).ok()
        };
        let (extension, is_guest) = cpu(&cpuinfo);
        let nested = extension.and_then(|e| parameter(e.module(), e.paging()));
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        let device = fs::metadata("/dev/kvm").ok();
        Machine {
            extension,
            is_guest,
            has_kvm: fs::exists("/sys/module/kvm").unwrap_or(false),
            nested_paging: nested.map(|text| matches!(text.trim(), "1" | "Y")),
            group: device.and_then(|device| group(&groups, device.gid())),
        }
    }

    /// What to do where there is no device.
    pub(super) fn no_device(&self) -> String {
        match (self.extension, self.has_kvm) {
            (Some(extension), false) => {
                let module = extension.module();
                format!("KVM is not loaded: `sudo modprobe {module}`")
            }
            (_, true) => "KVM is loaded, but its device is not here: in a container, pass it in \
                          (`--device /dev/kvm`); elsewhere `sudo mknod /dev/kvm c 10 232`"
                .to_owned(),
            (None, false) if self.is_guest => {
                "this machine is a guest whose hypervisor offers no virtualization to it: turn on \
                 nested virtualization there (for KVM: kvm_amd or kvm_intel with nested=1, and the \
                 guest's CPU model host)"
                    .to_owned()
            }
            (None, false) => {
                "the CPU offers neither SVM nor VMX: turn it on in the firmware's setup".to_owned()
            }
        }
    }

    /// What to do where the device may not be opened.
    pub(super) fn no_permission(&self) -> String {
        match self.group.as_deref() {
            None | Some("root") => "only root may open it: `sudo chgrp kvm /dev/kvm && sudo chmod \
                                    g+rw /dev/kvm`, and join that group"
                .to_owned(),
            Some(group) => format!(
                "join the group {group}: `sudo usermod -aG {group} $USER`, then log in again; in a \
                 container, `--group-add {group}`"
            ),
        }
    }

    /// Why page tables are shadowed, and what to do about it.
    pub(super) fn shadow_paging(&self) -> String {
        let Some(extension) = self.extension else {
            return "a host without SVM and VMX has no nested paging; guests run, but every change of \
                    a live page-table entry is repeated in the guest"
                .to_owned();
        };
        let (module, parameter) = (extension.module(), extension.paging());
        match (self.nested_paging, self.is_guest) {
            (Some(false), true) => format!(
                "{module} runs without nested paging: its parameter {parameter} is off, or the outer \
                 hypervisor does not offer it; guests run, slower. `sudo modprobe -r {module} && sudo \
                 modprobe {module} {parameter}=1`, or offer {parameter} to this machine's CPU"
            ),
            (Some(false), false) => format!(
                "{module} runs with {parameter}=0; guests run, slower. `sudo modprobe -r {module} && \
                 sudo modprobe {module} {parameter}=1`"
            ),
            _ => "page tables are shadowed for a reason that KVM does not tell; guests run, slower"
                .to_owned(),
        }
    }
}

/// What is offered, and whether by a hypervisor.
fn cpu(cpuinfo: &str) -> (Option<Extension>, bool) {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    let has = |wanted| flags.is_some_and(|line| line.split_whitespace().any(|f| f == wanted));
    let extension = match (has("svm"), has("vmx")) {
        (true, _) => Some(Extension::Svm),
        (_, true) => Some(Extension::Vmx),
        _ => None,
    };
    (extension, has("hypervisor"))
}

/// The name of group `gid` in the text of /etc/group.
fn group(groups: &str, gid: u32) -> Option<String> {
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    };
    groups.lines().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cpuinfo: &str) -> Machine {
        let (extension, is_guest) = cpu(cpuinfo);
        Machine {
            extension,
            is_guest,
            ..Machine::default()
        }
    }

    #[test]
    fn the_flags_tell_what_the_cpu_offers() {
        assert_eq!(cpu("flags\t\t: fpu vmx\n"), (Some(Extension::Vmx), false));
        let amd = cpu("model name : svm\nflags\t\t: fpu svm hypervisor\n");
        assert_eq!(amd, (Some(Extension::Svm), true));
        assert_eq!(cpu("flags : svm_lock\n"), (None, false));
    }

    #[test]
    fn without_a_device_the_reason_decides() {
        let loads = machine("flags : svm").no_device();
        assert!(loads.contains("sudo modprobe kvm_amd"), "{loads}");
        let loads = machine("flags : vmx").no_device();
        assert!(loads.contains("sudo modprobe kvm_intel"), "{loads}");
        let nested = machine("flags : hypervisor").no_device();
        assert!(nested.contains("nested virtualization"), "{nested}");
        let firmware = machine("flags : fpu").no_device();
        assert!(firmware.contains("firmware"), "{firmware}");
        let container = Machine {
            has_kvm: true,
            ..machine("flags : svm")
        };
        assert!(container.no_device().contains("--device /dev/kvm"));
    }

    #[test]
    fn the_group_is_the_devices() {
        let groups = "root:x:0:\nkvm:x:993:someone\n";
        assert_eq!(group(groups, 993).as_deref(), Some("kvm"));
        assert_eq!(group(groups, 7), None);
        let of = |group: Option<&str>| Machine {
            group: group.map(str::to_owned),
            ..Machine::default()
        };
        assert!(of(Some("kvm")).no_permission().contains("usermod -aG kvm"));
        assert!(of(Some("root")).no_permission().contains("chgrp kvm"));
        assert!(of(None).no_permission().contains("chgrp kvm"));
    }

    #[test]
    fn shadow_paging_names_the_parameter_and_who_may_hide_it() {
        let off = |cpuinfo| Machine {
            nested_paging: Some(false),
            ..machine(cpuinfo)
        };
        let own = off("flags : vmx").shadow_paging();
        assert!(
            own.contains("kvm_intel ept=1") && !own.contains("outer"),
            "{own}"
        );
        let nested = off("flags : svm hypervisor").shadow_paging();
        assert!(
            nested.contains("kvm_amd npt=1") && nested.contains("outer"),
            "{nested}"
        );
        let neither = machine("flags : fpu").shadow_paging();
        assert!(neither.contains("without SVM and VMX"), "{neither}");
    }
}
