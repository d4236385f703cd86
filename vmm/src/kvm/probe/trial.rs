//! The probe's virtual machine, its program, and what is tried with them.
//!
//! The program: read eight bytes through one page-table entry, SYSCALL, again; or CPUID, SYSCALL; or,
//! as 32-bit code, an x87 instruction and UD2. Comes in: what to try. Goes out: what was seen.

use super::super::cpu::{Cpu, Entering, Exit};
use super::super::cpuid;
use super::super::install::{self, Entry};
use super::super::layout::{HYPERVISOR_SLOT, HvLayout};
use super::super::open::HostError;
use super::super::vm::Vm;
use super::Probe;
use crate::domain::{Regs, TSC_LEAF};
use crate::memory::Memory;
use hypercalls::pte::PteFlags;
use hypercalls::trap::{FLAT_USER_CS32, UD};
use hypercalls::{Maddr, Mfn, Pte, Vaddr};
use kvm_ioctls::Kvm;
use std::time::{Duration, Instant};

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

/// One virtual machine with the program in it.
pub(in super::super) struct Trial {
    cpu: Cpu,
    // After `cpu`: the vCPU goes before its machine.
    vm: Vm,
    regs: Regs,
    full: bool,
}

impl Trial {
    pub(super) fn run(kvm: &Kvm) -> Result<(Probe, Trial), HostError> {
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

    pub(in super::super) fn with_entry(kvm: &Kvm, entry: Entry) -> Result<Trial, HostError> {
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
    pub(in super::super) fn write_program(&mut self, code: &[u8]) -> Result<(), HostError> {
        let written = self.vm.memory.write(self.frame(4).maddr(), code);
        written.map_err(|e| HostError::Unsuitable(e.to_string()))
    }

    /// Appends `code` to the entry stub, which is `len` bytes long.
    pub(in super::super) fn extend_entry(
        &mut self,
        len: u64,
        code: &[u8],
    ) -> Result<(), HostError> {
        let at = self.vm.layout.entry().maddr().add(len);
        self.vm
            .memory
            .write(at, code)
            .map_err(|e| HostError::Unsuitable(e.to_string()))
    }

    /// Loads the registers for [`Trial::bare`].
    pub(in super::super) fn begin(&mut self) {
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
    pub(in super::super) fn bare(&mut self, exits: u32) -> Result<(), HostError> {
        for _ in 0..exits {
            if !self.cpu.run_bare() {
                return Err(HostError::Unsuitable(
                    "the floor's guest did something else".into(),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn round_trip(&mut self) -> Result<u64, HostError> {
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let start = Instant::now();
            self.read(false)?;
            samples.push(start.elapsed());
        }
        Ok(median_ns(&mut samples))
    }

    pub(super) fn store_stub(&mut self) -> Result<u64, HostError> {
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
