//! The builder: memory, kernel and configuration → a domain whose vCPU 0 can run.
//!
//! Everything a guest finds at its entry is put here, as Xen's builder puts it. Nothing has run
//! yet, so nothing can be half-built: an error leaves no domain.

use super::cpuid::Cpuid;
use super::error::{BuildError, MAX_MIB};
use super::host::{DomainConfig, GRANT_FRAMES, HostLayout, MAX_CPUS};
use super::layout::{Layout, LayoutError, Needs};
use super::load::{self, Ports};
use super::program::{PAGES_PER_MIB, Program};
use super::services::Channel;
use super::{
    Binding, Clock, Console, Domain, Events, Lab, Paranoia, Regs, Services, State, Vcpu, tables,
};
use crate::attribution::Attribution;
use crate::memory::{BadMaddr, Memory};
use crate::mm::{Mm, Refusal};
use crate::stats::Stats;
use hypercalls::shared_info::{EVTCHN_MASK_OFFSET, LEGACY_MAX_VCPUS, VcpuInfo};
use hypercalls::start_info::MAX_GUEST_CMDLINE;
use hypercalls::{Level, Maddr, Mfn, PAGE_SIZE, Pfn};
use std::mem::offset_of;
use std::ops::Range;

/// The I/O registers of AMD's chipsets (FED8_0000 to FED8_1FFF), which kernels from 7.0 on map and
/// read unasked on AMD's CPUs: nothing is there, and reads give all ones.
const AMD_MMIO: Range<Mfn> = Mfn(0xf_ed80)..Mfn(0xf_ed82);

/// Builds a domain; it and what vCPU 0 starts with.
///
/// # Errors
/// See [`BuildError`].
pub fn build(
    program: &Program<'_>,
    config: &DomainConfig,
    host: &HostLayout,
) -> Result<(Domain, Regs), BuildError> {
    let nr_pages = check(config)?;
    let layout = place(program, config, nr_pages)?;
    load::check(program, nr_pages)?;
    let memory = machine(config, host)?;
    let first = Mfn(host.hv_frames);
    let shared_info = first.add(nr_pages).maddr();

    load::contents(&memory, program, &layout, config.initrd.as_deref(), first)?;
    load::maps(&memory, &layout, host, nr_pages)?;
    init_shared_info(&memory, shared_info)?;
    let root = tables::write(&memory, &layout, first)?;
    let mut events = Events::new(config.cpus);
    let ports = Ports {
        store: events.bind(Binding::Host, 0)?,
        console: events.bind(Binding::Host, 0)?,
    };
    let info = load::start_info(config, &layout, nr_pages, first, shared_info, ports);
    memory.write_obj(first.add(layout.start_info.0).maddr(), &info)?;

    let mut mm = count(&memory, host, config.cpus, root, shared_info)?;
    let channel = |pfn: Pfn, port| Channel {
        frame: first.add(pfn.0),
        port,
    };
    let console = channel(layout.console, ports.console);
    let store = channel(layout.store, ports.store);
    for frame in [console.frame, store.frame] {
        mm.get_writable(frame)?;
    }
    let regs = Regs {
        rsi: layout.va(layout.start_info).0,
        ..Regs::kernel(program.entry.0, layout.va(layout.boot_stack).0 + PAGE_SIZE)
    };
    let mut domain = Domain {
        memory,
        mm,
        vcpus: vcpus(config.cpus, shared_info),
        events,
        console: Console::default(),
        services: Services::new(console, store, config.cpus, config.mem_mib),
        clock: Clock::new(host.tsc_khz),
        stats: Stats::new(config.cpus),
        lab: Lab::default(),
        attribution: Attribution::default(),
        cpuid: Cpuid::new([], host.tsc_khz),
        layout,
        host: *host,
        nr_pages,
        shared_info,
        assists: 0,
        grant_frames_used: 0,
        poison: config.poison,
        paranoia: config.paranoid.then(Paranoia::default),
        kicks: 0,
        updates_in_trap: 0,
    };
    let boot = &mut domain.vcpus[0];
    (boot.up, boot.initialised, boot.kernel_base) = (true, true, root);
    boot.start = Some(regs);
    domain.enter_state(0, State::Running);
    domain.stamp_wall_clock();
    Ok((domain, regs))
}

fn check(config: &DomainConfig) -> Result<u64, BuildError> {
    if !(1..=MAX_MIB).contains(&config.mem_mib) {
        return Err(BuildError::Memory(config.mem_mib));
    }
    if !(1..=MAX_CPUS).contains(&config.cpus) {
        return Err(BuildError::Cpus(config.cpus));
    }
    let cmdline = &config.cmdline;
    if cmdline.len() >= MAX_GUEST_CMDLINE {
        return Err(BuildError::CmdlineTooLong(cmdline.len()));
    }
    if cmdline.contains('\0') {
        return Err(BuildError::CmdlineZero);
    }
    Ok(config.mem_mib * PAGES_PER_MIB)
}

fn place(
    program: &Program<'_>,
    config: &DomainConfig,
    nr_pages: u64,
) -> Result<Layout, BuildError> {
    let start = program.pieces.first().map_or(0, |p| p.paddr);
    let end = program
        .pieces
        .iter()
        .map(|p| p.paddr.saturating_add(p.size));
    let needs = Needs {
        virt_base: program.virt_base,
        kernel: start..end.max().unwrap_or(start),
        initrd: config.initrd.as_ref().map(|i| i.len() as u64),
        unmapped_initrd: program.unmapped_initrd,
        init_p2m: program.init_p2m,
        nr_pages,
    };
    Layout::new(&needs).map_err(|e| match e {
        LayoutError::TooSmall { needed, .. } => BuildError::TooSmall {
            have_mib: config.mem_mib,
            needed_mib: needed.div_ceil(PAGES_PER_MIB),
        },
        other => BuildError::Layout(other),
    })
}

fn machine(config: &DomainConfig, host: &HostLayout) -> Result<Memory, BuildError> {
    let frames = HostLayout::total_frames(host.hv_frames, config.mem_mib);
    let m2p_end = host.m2p.0.checked_add(frames * 8);
    if m2p_end.is_none_or(|end| end > host.hv_frames * PAGE_SIZE) {
        return Err(BuildError::M2pTooSmall(host.hv_frames));
    }
    Ok(Memory::new(frames)?)
}

/// Upcalls masked on every vCPU, every port masked.
fn init_shared_info(memory: &Memory, at: Maddr) -> Result<(), BadMaddr> {
    for i in 0..LEGACY_MAX_VCPUS {
        let info = vcpu_info(at, i);
        memory.write(
            info.add(offset_of!(VcpuInfo, evtchn_upcall_mask) as u64),
            &[1],
        )?;
    }
    memory.write(at.add(EVTCHN_MASK_OFFSET), &[0xff; 512])
}

fn vcpu_info(shared_info: Maddr, cpu: usize) -> Maddr {
    shared_info.add((cpu * size_of::<VcpuInfo>()) as u64)
}

fn vcpus(cpus: usize, shared_info: Maddr) -> Vec<Vcpu> {
    (0..cpus)
        .map(|i| Vcpu::new(vcpu_info(shared_info, i)))
        .collect()
}

/// Has the page-table rules count what was written.
fn count(
    memory: &Memory,
    host: &HostLayout,
    cpus: usize,
    root: Mfn,
    shared_info: Maddr,
) -> Result<Mm, Refusal> {
    let guest = Mfn(host.hv_frames)..shared_info.mfn();
    let mut mm = Mm::new(memory.frames(), guest, host.hv_l4_entry, host.m2p);
    mm.set_vcpus(u64::MAX >> (64 - cpus));
    for i in 0..=GRANT_FRAMES {
        mm.share(shared_info.mfn().add(i))?;
    }
    if memory.frames() <= AMD_MMIO.start.0 {
        mm.permit_io(AMD_MMIO);
    }
    mm.pin(memory, Level::L4, root)?;
    mm.new_baseptr(memory, None, root)?;
    // Nothing has run: no CPU has seen the tables, nothing is to be flushed.
    mm.take_effects();
    Ok(mm)
}
