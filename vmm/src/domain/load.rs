//! Filling memory: kernel, initrd, p2m list, machine-to-physical table, start_info.

use super::error::BuildError;
use super::host::{DomainConfig, HostLayout};
use super::layout::Layout;
use super::program::{Piece, Program};
use super::stubs;
use crate::memory::{BadMaddr, Memory};
use hypercalls::start_info::{ConsoleInfo, MAGIC, MAX_GUEST_CMDLINE, SIF_MOD_START_PFN, StartInfo};
use hypercalls::{Maddr, Mfn, PAGE_SIZE, Pfn};

/// An entry of the machine-to-physical table for a frame that is not the guest's.
const INVALID_M2P: u64 = u64::MAX;
/// Entries written at a time.
const CHUNK: u64 = 4096;

/// Ports the builder binds for the host's services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) store: u32,
    pub(super) console: u32,
}

/// Checks that the pieces are in order, apart, inside memory and hold the entry point.
pub(super) fn check(program: &Program<'_>, nr_pages: u64) -> Result<(), BuildError> {
    let memory = nr_pages.saturating_mul(PAGE_SIZE);
    let mut end = 0;
    for piece in &program.pieces {
        let Piece { paddr, size, data } = *piece;
        let piece_end = paddr.checked_add(size).filter(|&end| end <= memory);
        let fits = piece_end.filter(|_| data.len() as u64 <= size);
        let piece_end = fits.ok_or(BuildError::Outside {
            paddr,
            size,
            memory,
        })?;
        if paddr < end {
            return Err(BuildError::Overlap { paddr, end });
        }
        end = piece_end;
    }
    let inside = |va: u64| {
        let paddr = va.wrapping_sub(program.virt_base.0);
        let holds = |p: &Piece<'_>| paddr.wrapping_sub(p.paddr) < p.size;
        program.pieces.iter().any(holds)
    };
    if !program.pieces.is_empty() && !inside(program.entry.0) {
        return Err(BuildError::Entry(program.entry));
    }
    match program.hypercall_page {
        Some(page) if page.offset() != 0 || !inside(page.0) || !inside(page.0 + PAGE_SIZE - 1) => {
            Err(BuildError::HypercallPage(page))
        }
        _ => Ok(()),
    }
}

/// Copies kernel, hypercall page and initrd to their places.
pub(super) fn contents(
    memory: &Memory,
    program: &Program<'_>,
    layout: &Layout,
    initrd: Option<&[u8]>,
    first: Mfn,
) -> Result<(), BadMaddr> {
    let base = first.maddr();
    for piece in &program.pieces {
        memory.write(base.add(piece.paddr), piece.data)?;
    }
    if let Some(page) = program.hypercall_page {
        let paddr = page.0.wrapping_sub(program.virt_base.0);
        memory.write(base.add(paddr), &stubs::page())?;
    }
    match (initrd, layout.initrd) {
        (Some(bytes), Some(span)) => memory.write(first.add(span.first.0).maddr(), bytes),
        _ => Ok(()),
    }
}

/// Fills the p2m list and the machine-to-physical table.
pub(super) fn maps(
    memory: &Memory,
    layout: &Layout,
    host: &HostLayout,
    nr_pages: u64,
) -> Result<(), BadMaddr> {
    let first = host.hv_frames;
    let list = Mfn(first).add(layout.p2m.first.0).maddr();
    fill(memory, list, nr_pages, |pfn| first + pfn)?;
    fill(memory, host.m2p, memory.frames(), |mfn| {
        let pfn = mfn.wrapping_sub(first);
        if pfn < nr_pages { pfn } else { INVALID_M2P }
    })
}

fn fill(
    memory: &Memory,
    at: Maddr,
    count: u64,
    value: impl Fn(u64) -> u64,
) -> Result<(), BadMaddr> {
    for start in (0..count).step_by(CHUNK as usize) {
        let end = count.min(start + CHUNK);
        let bytes: Vec<u8> = (start..end).flat_map(|i| value(i).to_le_bytes()).collect();
        memory.write(at.add(start * 8), &bytes)?;
    }
    Ok(())
}

/// The start_info page's contents.
pub(super) fn start_info(
    config: &DomainConfig,
    layout: &Layout,
    nr_pages: u64,
    first: Mfn,
    shared_info: Maddr,
    ports: Ports,
) -> StartInfo {
    let mfn = |pfn: Pfn| first.add(pfn.0);
    let mut magic = [0; 32];
    magic[..MAGIC.len()].copy_from_slice(MAGIC);
    let mut cmd_line = [0; MAX_GUEST_CMDLINE];
    for (to, from) in cmd_line.iter_mut().zip(config.cmdline.bytes()) {
        *to = from;
    }
    let apart = layout.p2m_tables.pages != 0;
    let p2m = layout.p2m_all();
    StartInfo {
        magic,
        nr_pages,
        shared_info,
        flags: if layout.initrd_by_pfn && layout.initrd.is_some() {
            SIF_MOD_START_PFN
        } else {
            0
        },
        pad0: 0,
        store_mfn: mfn(layout.store),
        store_evtchn: ports.store,
        pad1: 0,
        console: ConsoleInfo {
            mfn: mfn(layout.console),
            evtchn: ports.console,
            pad: 0,
        },
        pt_base: layout.va(layout.tables.first),
        nr_pt_frames: layout.tables.pages,
        mfn_list: layout.p2m_at,
        mod_start: match layout.initrd {
            Some(span) if layout.initrd_by_pfn => span.first.0,
            Some(span) => layout.va(span.first).0,
            None => 0,
        },
        mod_len: config.initrd.as_ref().map_or(0, |i| i.len() as u64),
        cmd_line,
        first_p2m_pfn: if apart { p2m.first } else { Pfn(0) },
        nr_p2m_frames: if apart { p2m.pages } else { 0 },
    }
}
