//! `memory_op`: what memory there is.

use super::{Answer, read, write};
use crate::domain::Domain;
use hypercalls::memory::*;
use hypercalls::{DOMID_SELF, DomId, Errno, PAGE_SIZE};

/// The command's bits; those above say where a continued call goes on.
const COMMAND: u64 = (1 << 6) - 1;

/// Sizes, the map and where the machine-to-physical table is.
pub(super) fn memory_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let arg = args[1];
    match (args[0] & COMMAND) as u32 {
        XENMEM_MAXIMUM_RAM_PAGE => Ok(dom.memory.frames() as i64 - 1),
        XENMEM_CURRENT_RESERVATION | XENMEM_MAXIMUM_RESERVATION => reservation(dom, cpu, arg),
        XENMEM_MEMORY_MAP => memory_map(dom, cpu, arg),
        XENMEM_MACHPHYS_MAPPING => machphys_mapping(dom, cpu, arg),
        _ => Err(Errno::ENOSYS),
    }
}

fn reservation(dom: &Domain, cpu: usize, arg: u64) -> Answer {
    match read::<DomId>(dom, cpu, arg)? {
        DOMID_SELF => Ok(dom.nr_pages as i64),
        _ => Err(Errno::ESRCH),
    }
}

/// One range: all of it, from 0.
fn memory_map(dom: &Domain, cpu: usize, arg: u64) -> Answer {
    let mut map: MemoryMap = read(dom, cpu, arg)?;
    if map.nr_entries == 0 {
        return Err(Errno::EINVAL);
    }
    let ram = E820Entry {
        addr: 0,
        size: dom.nr_pages * PAGE_SIZE,
        kind: E820_RAM,
    };
    write(dom, cpu, map.buffer, &ram)?;
    map.nr_entries = 1;
    write(dom, cpu, arg, &map).map(|()| 0)
}

fn machphys_mapping(dom: &Domain, cpu: usize, arg: u64) -> Answer {
    let frames = dom.memory.frames();
    let start = dom.host.m2p_vaddr.0;
    let bytes = (frames * 8).next_multiple_of(PAGE_SIZE);
    let mapping = MachphysMapping {
        v_start: start,
        v_end: start.wrapping_add(bytes),
        max_mfn: frames - 1,
    };
    write(dom, cpu, arg, &mapping).map(|()| 0)
}
