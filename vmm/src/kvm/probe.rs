//! Finding out, by trying, how this host's KVM behaves: where SYSCALL arrives and whether a
//! page-table entry that the VMM writes is noticed. Never by module name.
//!
//! The probe's guest is a few instructions long: read eight bytes through one page-table entry,
//! SYSCALL, again; or CPUID, SYSCALL; or, as 32-bit code, an x87 instruction and UD2.
//!
//! What follows from it where SYSCALL arrives at CPL0 and paging is nested, the ordinary host:
//!
//! * Entry: `out; sysretq`. A hypercall and its return move general registers through the shared
//!   page and nothing else. System registers are written where the guest's segments, CR0.TS or tables
//!   changed, after an exception, or for a flush.
//! * Flush: a new CR3 value, which KVM passes on to the CPU. A `mov %cr3` in a stub would do without
//!   KVM, but then nothing outside the guest could tell a forgotten flush from one that was made: on
//!   emulated hosts the tests count what KVM asks of the CPU. Changing CR0.TS flushes too, unasked:
//!   KVM takes any change of CR0 for a change of paging.
//! * Not `KVM_EXIT_XEN`, though most of these hosts offer it. A PV guest makes hypercalls by SYSCALL,
//!   so its stub would hold VMCALL in the place of `out`: as many instructions, exits and returns.
//!   On `kvm_amd` with npt=1 under an emulator, an exit by VMMCALL took 1.14 to 1.33 times as long as
//!   one by `out` (six rounds of 2000, general registers written back, Linux 6.12): KVM has to
//!   fetch the arguments, look for calls of its own, and compare rip on the way back.

use super::cpu::{Cpu, Entering, Exit};
use super::cpuid;
use super::install::{self, Entry};
use super::layout::{HYPERVISOR_SLOT, HvLayout};
use super::open::HostError;
use super::vm::Vm;
use crate::domain::{Regs, TSC_LEAF};
use crate::memory::Memory;
use hypercalls::pte::PteFlags;
use hypercalls::trap::{FLAT_USER_CS32, UD};
use hypercalls::{Maddr, Mfn, Pte, Vaddr};
use kvm_ioctls::Kvm;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How a changed page-table entry is made known to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coherence {
    /// The VMM's own store is enough once the TLB is flushed: nested paging.
    Direct,
    /// The guest's CPL0 must repeat the store: shadow paging.
    GuestStores,
}

/// What the probe saw and therefore chose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Probe {
    /// The privilege level SYSCALL arrives at.
    pub syscall_cpl: u8,
    /// The TSC's frequency; 0 where KVM does not tell.
    pub tsc_khz: u32,
    /// Whether an entry the VMM rewrote was seen after a flush.
    pub vmm_store_seen: bool,
    /// Whether an entry the guest's CPL0 rewrote was seen after a flush; not tried where the
    /// VMM's own is seen.
    pub guest_store_seen: Option<bool>,
    /// Whether the CPU answers user mode's `cpuid` by itself, whatever table KVM was given.
    pub native_cpuid: bool,
    /// Whether vCPUs count time with the host's own TSC.
    pub shared_tsc: bool,
    /// Whether the CPU runs 32-bit code of user mode; KVM's emulator, where it does not, knows no
    /// x87 and little SSE: such an instruction raises #UD.
    pub native_compat: bool,
    /// The components of extended state that guests may use; 0 without XSAVE.
    pub xcr0: u64,
}

/// What leaving the guest costs here.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Costs {
    /// Median time from the guest's SYSCALL to its next instruction and back, ns.
    pub round_trip_ns: u64,
    /// Median time the store stub takes for one entry, ns.
    pub store_stub_ns: u64,
}

impl Probe {
    /// How to enter.
    #[must_use]
    pub(super) fn entry(&self) -> Entry {
        if self.syscall_cpl == 3 {
            Entry::Cpl3
        } else {
            Entry::Cpl0
        }
    }
    /// The strategies, for reports: what → which.
    #[must_use]
    pub fn strategies(&self) -> BTreeMap<String, String> {
        let entry = format!("cpl{}", self.syscall_cpl);
        let coherence = match self.coherence() {
            Coherence::Direct => "direct",
            Coherence::GuestStores => "guest-stores",
        };
        BTreeMap::from([
            ("entry".into(), entry),
            ("coherence".into(), coherence.into()),
            ("cpuid".into(), self.cpuid().into()),
            ("code32".into(), self.code32().into()),
        ])
    }
    /// Who runs 32-bit code of user mode.
    #[must_use]
    pub fn code32(&self) -> &'static str {
        if self.native_compat {
            "cpu"
        } else {
            "emulator"
        }
    }
    /// Who answers user mode's `cpuid`.
    #[must_use]
    pub fn cpuid(&self) -> &'static str {
        if self.native_cpuid { "cpu" } else { "table" }
    }
    /// How to make page-table writes known.
    #[must_use]
    pub fn coherence(&self) -> Coherence {
        if self.vmm_store_seen {
            Coherence::Direct
        } else {
            Coherence::GuestStores
        }
    }
}

const CODE: Vaddr = Vaddr(0x40_0000_0000);
const DATA: Vaddr = Vaddr(0x40_0000_1000);
/// The code once more, where 32-bit code reaches it.
const LOW: Vaddr = Vaddr(0);
/// `mov (%rbx),%rax; syscall; jmp .-5; cpuid; syscall; fld1; ud2`
const PROGRAM: [u8; 15] = [
    0x48, 0x8b, 0x03, 0x0f, 0x05, 0xeb, 0xf9, 0x0f, 0xa2, 0x0f, 0x05, 0xd9, 0xe8, 0x0f, 0x0b,
];
/// Where its `cpuid` is.
const CPUID: u64 = 7;
/// Where its `fld1` and `ud2` are.
const FLD1: u64 = 11;
const UD2: u64 = 13;
/// A frequency no host has: the leaf that tells it shows whose answer it is.
const TABLES_KHZ: u32 = 0x7ab1e;
const GUEST_FRAMES: u64 = 16;
const BEFORE: u64 = 0x0bef_0e0b;
const AFTER: u64 = 0x0af7_e20a;
const SAMPLES: usize = 64;
const UPPER: PteFlags = PteFlags::PRESENT
    .union(PteFlags::RW)
    .union(PteFlags::USER)
    .union(PteFlags::ACCESSED)
    .union(PteFlags::DIRTY);

/// Runs the probe: one short-lived virtual machine, a handful of exits.
///
/// # Errors
/// If KVM refuses something, or neither way of changing an entry works.
pub(super) fn probe(kvm: &Kvm) -> Result<Probe, HostError> {
    Ok(Trial::run(kvm)?.0)
}

/// The probe with its costs: some hundred exits.
///
/// # Errors
/// As [`probe`].
pub fn probe_costs(kvm: &Kvm) -> Result<(Probe, Costs), HostError> {
    let (probe, mut trial) = Trial::run(kvm)?;
    let round_trip_ns = trial.round_trip()?;
    let store_stub_ns = trial.store_stub()?;
    Ok((
        probe,
        Costs {
            round_trip_ns,
            store_stub_ns,
        },
    ))
}

/// One virtual machine with the program in it.
pub(super) struct Trial {
    cpu: Cpu,
    // After `cpu`: the vCPU goes before its machine.
    vm: Vm,
    regs: Regs,
    full: bool,
}

impl Trial {
    fn run(kvm: &Kvm) -> Result<(Probe, Trial), HostError> {
        let mut trial = Trial::new(kvm)?;
        if trial.read(false)? != BEFORE {
            return Err(HostError::Unsuitable(
                "the probe's guest read the wrong page".into(),
            ));
        }
        let syscall_cpl = trial.cpu.cpl();
        let tsc_khz = trial.cpu.tsc_khz();
        let vmm_store_seen = trial.rewrite()?;
        let guest_store_seen = if vmm_store_seen {
            None
        } else {
            Some(trial.restore()?)
        };
        if guest_store_seen == Some(false) {
            return Err(HostError::Unsuitable(
                "a changed page-table entry is noticed neither from the VMM nor from the guest's CPL0".into(),
            ));
        }
        let native_cpuid = trial.cpuid(TSC_LEAF)? != u64::from(TABLES_KHZ);
        let native_compat = trial.compat()?;
        Ok((
            Probe {
                syscall_cpl,
                tsc_khz,
                vmm_store_seen,
                guest_store_seen,
                native_cpuid,
                shared_tsc: trial.cpu.shared_tsc(),
                native_compat,
                xcr0: cpuid::table(kvm, tsc_khz, native_cpuid)?.xcr0(),
            },
            trial,
        ))
    }

    fn new(kvm: &Kvm) -> Result<Trial, HostError> {
        // The doorbell works from either privilege level.
        Trial::with_entry(kvm, Entry::Cpl3)
    }

    pub(super) fn with_entry(kvm: &Kvm, entry: Entry) -> Result<Trial, HostError> {
        let layout = HvLayout::new(GUEST_FRAMES, 1);
        let native = cpuid::for_kvm(&cpuid::table(kvm, TABLES_KHZ, false)?)?;
        let memory = Memory::new(layout.total_frames)?;
        let vm = Vm::new(kvm, memory, layout, entry, native)?;
        let mut trial = Trial {
            cpu: Cpu::new(&vm, 0)?,
            vm,
            regs: Regs {
                rip: CODE.0,
                rbx: DATA.0,
                ..Regs::default()
            },
            full: true,
        };
        trial
            .build()
            .map_err(|e| HostError::Unsuitable(format!("the probe's memory: {e}")))?;
        Ok(trial)
    }

    fn frame(&self, n: u64) -> Mfn {
        Mfn(self.vm.layout.frames() + n)
    }

    /// Frames: 0 L4, 1 L3, 2 L2, 3 L1, 4 code, 5 and 6 data.
    fn build(&mut self) -> Result<(), crate::memory::BadMaddr> {
        let memory = self.vm.memory.clone();
        let set = |table: Mfn, slot: usize, pte: Pte| memory.write_u64(table.entry(slot), pte.0);
        let hypervisor = install::l4_entry(&self.vm.layout);
        set(self.frame(0), HYPERVISOR_SLOT as usize, hypervisor)?;
        for (level, table) in [
            (hypercalls::Level::L4, 0),
            (hypercalls::Level::L3, 1),
            (hypercalls::Level::L2, 2),
        ] {
            set(
                self.frame(table),
                CODE.slot(level),
                Pte::new(self.frame(table + 1), UPPER),
            )?;
        }
        let low = LOW.slot(hypercalls::Level::L3);
        set(self.frame(1), low, Pte::new(self.frame(2), UPPER))?;
        let read_only = UPPER - PteFlags::RW;
        set(
            self.frame(3),
            CODE.slot(hypercalls::Level::L1),
            Pte::new(self.frame(4), read_only),
        )?;
        memory.write_u64(self.data_entry(), Pte::new(self.frame(5), read_only).0)?;
        memory.write(self.frame(4).maddr(), &PROGRAM)?;
        memory.write_u64(self.frame(5).maddr(), BEFORE)?;
        memory.write_u64(self.frame(6).maddr(), AFTER)
    }

    fn data_entry(&self) -> Maddr {
        self.frame(3).entry(DATA.slot(hypercalls::Level::L1))
    }

    /// What the guest reads through the entry.
    fn read(&mut self, flush: bool) -> Result<u64, HostError> {
        match self.enter(flush)? {
            Exit::Syscall => Ok(self.regs.rax),
            other => Err(ended(&other)),
        }
    }

    /// Runs the guest until it does something, and takes its registers.
    fn enter(&mut self, flush: bool) -> Result<Exit, HostError> {
        let entering = Entering {
            full: self.full,
            flush,
        };
        let root = self.frame(0);
        self.cpu.load(&self.regs, root, (0, 0), entering);
        self.full = false;
        let exit = loop {
            match self.cpu.run() {
                Exit::Interrupted | Exit::InterruptedBusy => {}
                exit => break exit,
            }
        };
        let saved = self.cpu.save(&exit, &mut self.regs);
        saved.map_err(|e| HostError::Unsuitable(e.to_string()))?;
        Ok(exit)
    }

    /// What `cpuid` answers in user mode, in eax.
    fn cpuid(&mut self, (leaf, subleaf): (u32, u32)) -> Result<u64, HostError> {
        let reader = self.regs;
        self.regs = Regs {
            rip: CODE.0 + CPUID,
            rax: leaf.into(),
            rcx: subleaf.into(),
            ..reader
        };
        let eax = self.read(false);
        self.regs = reader;
        eax
    }

    /// Whether 32-bit code gets past an x87 instruction.
    fn compat(&mut self) -> Result<bool, HostError> {
        let reader = self.regs;
        self.regs = Regs {
            rip: LOW.0 + FLD1,
            cs: FLAT_USER_CS32,
            ..reader
        };
        self.full = true;
        let exit = self.enter(false)?;
        let rip = self.regs.rip;
        (self.regs, self.full) = (reader, true);
        match exit {
            Exit::Exception { vector: UD, .. } => Ok(rip == LOW.0 + UD2),
            other => Err(ended(&other)),
        }
    }

    /// Changes the entry from here, flushes, and says whether the guest saw it.
    fn rewrite(&mut self) -> Result<bool, HostError> {
        self.vm
            .memory
            .write_u64(self.data_entry(), self.new_entry())
            .map_err(|e| HostError::Unsuitable(e.to_string()))?;
        Ok(self.read(true)? == AFTER)
    }

    /// Repeats the change from the guest's CPL0, flushes, and says whether the guest saw it.
    fn restore(&mut self) -> Result<bool, HostError> {
        let (at, value, root) = (self.data_entry(), self.new_entry(), self.frame(0));
        self.cpu
            .replay(&[(at, value)], root)
            .map_err(HostError::Unsuitable)?;
        self.full = true;
        Ok(self.read(true)? == AFTER)
    }

    fn new_entry(&self) -> u64 {
        Pte::new(self.frame(6), UPPER - PteFlags::RW).0
    }

    /// Replaces the guest's program.
    pub(super) fn write_program(&mut self, code: &[u8]) -> Result<(), HostError> {
        let written = self.vm.memory.write(self.frame(4).maddr(), code);
        written.map_err(|e| HostError::Unsuitable(e.to_string()))
    }

    /// Appends `code` to the entry stub, which is `len` bytes long.
    pub(super) fn extend_entry(&mut self, len: u64, code: &[u8]) -> Result<(), HostError> {
        let at = self.vm.layout.entry().maddr().add(len);
        self.vm
            .memory
            .write(at, code)
            .map_err(|e| HostError::Unsuitable(e.to_string()))
    }

    /// Loads the registers for [`Trial::bare`].
    pub(super) fn begin(&mut self) {
        let root = self.frame(0);
        self.cpu.load(
            &self.regs,
            root,
            (0, 0),
            Entering {
                full: true,
                flush: false,
            },
        );
    }

    /// Enters `exits` times, and looks at nothing but that the guest made a hypercall.
    pub(super) fn bare(&mut self, exits: u32) -> Result<(), HostError> {
        for _ in 0..exits {
            if !self.cpu.run_bare() {
                return Err(HostError::Unsuitable(
                    "the floor's guest did something else".into(),
                ));
            }
        }
        Ok(())
    }

    fn round_trip(&mut self) -> Result<u64, HostError> {
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let start = Instant::now();
            self.read(false)?;
            samples.push(start.elapsed());
        }
        Ok(median_ns(&mut samples))
    }

    fn store_stub(&mut self) -> Result<u64, HostError> {
        let (at, root) = (self.data_entry(), self.frame(0));
        let value = self.new_entry();
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let start = Instant::now();
            self.cpu
                .replay(&[(at, value)], root)
                .map_err(HostError::Unsuitable)?;
            samples.push(start.elapsed());
        }
        Ok(median_ns(&mut samples))
    }
}

fn ended(by: &Exit) -> HostError {
    HostError::Unsuitable(format!("the probe's guest ended with {by:?}"))
}

fn median_ns(samples: &mut [Duration]) -> u64 {
    samples.sort_unstable();
    samples
        .get(samples.len() / 2)
        .map_or(0, |d| d.as_nanos() as u64)
}
